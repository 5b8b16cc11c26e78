from typing import Any

import pytest
import torch
from torch import Tensor

from stylesr.errors import InputError
from stylesr.models import AdaINNet, Generator, StyleSRNet
from stylesr.models.adain_net import Statistics, color_map, in_a_row, mixed
from tests import tiny
from tests.models.contract import GeneratorContract, picture, randomised

TINY: dict[str, Any] = {
    "channels": 8,
    "blocks": 3,
    "coarse_channels": 8,
    "tail_channels": [4, 4],
    "noise_levels": 2,
}
STYLE = torch.rand(1, 3, 25, 18, generator=torch.Generator().manual_seed(7))
PHOTO = torch.rand(1, 3, 32, 40, generator=torch.Generator().manual_seed(8))


class TestAdaINNet(GeneratorContract):
    """With the photo's statistics given, as in tiles: then nothing else reads all of it."""

    model_class = AdaINNet
    tiny = TINY
    refused = [
        ("channels", 7),
        ("channels", 129),
        ("channels", "48"),
        ("blocks", 2),
        ("blocks", 33),
        ("coarse_channels", 7),
        ("coarse_channels", 257),
        ("tail_channels", 16),
        ("tail_channels", [16, 3]),
        ("noise_levels", 0),
        ("noise_levels", 5),
        ("base", ""),
        ("base", None),
    ]

    @pytest.fixture
    def model(self) -> Generator:
        return small()

    def call(
        self, model: Generator, x: Tensor, scale: int, origin: tuple[int, int] = (0, 0)
    ) -> Tensor:
        assert isinstance(model, AdaINNet)
        content = None
        if scale in model.scales:
            content = model.read(PHOTO.to(x.dtype), scale)
        style = STYLE.to(x.dtype)
        return model(x, style, scale, content=content, strength=0.8, origin=origin)


@pytest.fixture
def model() -> AdaINNet:
    return small()


def small() -> AdaINNet:
    """Of random weights, whose results stay within what float32 tells apart by 1e-5."""
    net = randomised(AdaINNet(**TINY))
    assert isinstance(net, AdaINNet)
    for part in (net.modulator.last, net.last, net.skip_gain):
        for parameter in part.parameters() if isinstance(part, torch.nn.Module) else [part]:
            parameter.mul_(0.3)
    return net


def test_the_default_network_is_small() -> None:
    assert sum(p.numel() for p in AdaINNet().parameters()) <= 1_100_000


@pytest.mark.parametrize("scale", AdaINNet.scales)
def test_cut_from_a_photo_model_it_is_that_model_at_strength_0(scale: int) -> None:
    photo = StyleSRNet(channels=8, blocks=3, tail_channels=(4, 4), noise_levels=1)
    randomised(photo)
    torch.nn.init.zeros_(photo.noise.weight)
    net = AdaINNet.from_photo(photo, base="mine", coarse_channels=8).eval().requires_grad_(False)
    assert net.base == "mine" and net.config["base"] == "mine"
    x = picture(net, scale, count=2)
    torch.testing.assert_close(net(x, STYLE, scale, strength=0), photo(x, scale), atol=1e-5, rtol=0)
    assert (net(x, STYLE, scale) - photo(x, scale)).abs().max() > 1e-2


def test_cut_from_a_style_it_paints_with_its_noise() -> None:
    style = StyleSRNet(channels=8, blocks=3, tail_channels=(4, 4), noise_levels=1)
    randomised(style)
    assert style.paints
    net = AdaINNet.from_photo(style, coarse_channels=8).eval().requires_grad_(False)
    x = picture(net, 1, count=1)
    assert (net(x, STYLE, seed=0) - net(x, STYLE, seed=1)).abs().max() > 1e-3
    assert net.modulator.last.bias.sum() == 8


def test_what_sets_styles_apart_is_what_the_modulator_reads(model: AdaINNet) -> None:
    styles = torch.cat([STYLE, STYLE.flip(1), STYLE**2])
    model.modulator.calibrate(model.read(styles))
    numbers = (in_a_row(model.read(styles)) - model.modulator.usual) / model.modulator.spread
    torch.testing.assert_close(numbers.mean(0), torch.zeros(numbers.shape[1]), atol=1e-4, rtol=0)
    assert numbers.std(0).max() <= 1.001 and numbers[:, :3].std(0).min() >= 0.999


def test_a_photo_model_of_two_blocks_cannot_be_cut() -> None:
    with pytest.raises(InputError, match="blocks must be a whole number from 3 to 32, got 1"):
        AdaINNet.from_photo(tiny.photo())


def test_what_is_fused_has_the_style_s_means_and_deviations(model: AdaINNet) -> None:
    """Colours alone, which take the way past the decoder: the rest is set to nothing."""
    for layer in (model.last, model.modulator.last):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    torch.nn.init.ones_(model.skip_gain)
    painted = model(PHOTO, STYLE[..., :24, :16])
    torch.testing.assert_close(painted.mean((2, 3)), STYLE[..., :24, :16].mean((2, 3)))
    expected = torch.cov(STYLE[0, :, :24, :16].flatten(1), correction=0)
    found = torch.cov(painted[0].flatten(1), correction=0)
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)


def test_colours_are_turned_no_more_than_they_must() -> None:
    """By hand where both vary along the same axes: there the map scales each by itself."""
    one = torch.diag(torch.tensor([0.04, 0.01, 0.09]))[None]
    two = torch.diag(torch.tensor([0.01, 0.04, 0.09]))[None]
    expected = torch.diag(torch.tensor([0.5, 2.0, 1.0]))[None]
    torch.testing.assert_close(color_map(one, two), expected)
    values = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(2))
    source, target = (x @ x.mT + 0.1 * torch.eye(3) for x in values)
    turn = color_map(source[None], target[None])[0]
    torch.testing.assert_close(turn @ source @ turn.T, target, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(turn, turn.T)
    assert torch.linalg.eigvalsh(turn).min() > 0
    torch.testing.assert_close(color_map(source[None], source[None])[0], torch.eye(3))


def test_a_style_read_once_does_for_many_photos(model: AdaINNet) -> None:
    x = picture(model, 1, count=3)
    torch.testing.assert_close(model(x, model.read(STYLE)), model(x, STYLE))


def test_each_photo_can_have_its_own_style(model: AdaINNet) -> None:
    x = picture(model, 2, count=2)
    styles = torch.cat([STYLE, 1 - STYLE])
    each = torch.cat([model(x[i : i + 1], styles[i : i + 1], 2) for i in range(2)])
    assert (each[0] - model(x[:1], styles[1:], 2)).abs().max() > 1e-3
    torch.testing.assert_close(model(x, styles, 2), each, atol=1e-5, rtol=0)


def test_without_statistics_the_whole_photo_is_read(model: AdaINNet) -> None:
    whole, part = model(PHOTO, STYLE), model(PHOTO[..., :16], STYLE)
    assert (whole[..., :8] - part[..., :8]).abs().max() > 1e-3
    given = model.read(PHOTO)
    torch.testing.assert_close(model(PHOTO, STYLE, content=given), whole)


def test_a_mix_is_the_weighted_sum_of_statistics() -> None:
    eye, nothing = torch.eye(3)[None], torch.zeros(1, 1)
    one = Statistics((torch.tensor([[0.0]]), torch.tensor([[2.0]])), (torch.ones(1, 1),) * 2, eye)
    two = Statistics((torch.tensor([[4.0]]), torch.tensor([[6.0]])), (nothing, nothing), 5 * eye)
    means, deviations, covariance = mixed([one, two], [0.25, 0.75])
    assert [float(x) for x in (*means, *deviations)] == [3.0, 5.0, 0.25, 0.25]
    assert torch.equal(covariance, 4 * eye)
    beyond = mixed([one, two], [-0.5, 1.5])
    assert [float(x) for x in (*beyond.means, *beyond.deviations)] == [6.0, 8.0, 0.0, 0.0]


def test_strength_goes_from_the_photo_s_statistics_to_the_style_s(model: AdaINNet) -> None:
    own, style = model.read(PHOTO), model.read(STYLE)
    halfway = model(PHOTO, STYLE, strength=0.5)
    torch.testing.assert_close(halfway, model(PHOTO, mixed([own, style], [0.5, 0.5])))
    torch.testing.assert_close(model(PHOTO, STYLE, strength=0.0), model(PHOTO, own))


def test_a_seed_repeats_and_another_one_differs(model: AdaINNet) -> None:
    assert torch.equal(model(PHOTO, STYLE, seed=3), model(PHOTO, STYLE, seed=3))
    assert (model(PHOTO, STYLE, seed=3) - model(PHOTO, STYLE, seed=4)).abs().max() > 1e-4


def test_what_does_not_fit_is_refused(model: AdaINNet) -> None:
    x = picture(model, 1, count=3)
    with pytest.raises(InputError, match="2 styles for 3 pictures"):
        model(x, torch.cat([STYLE, STYLE]))
    with pytest.raises(InputError, match="2 seeds for 3 pictures"):
        model(x, STYLE, seed=[1, 2])
    with pytest.raises(InputError, match=r"multiples of 8, got \(4, 0\)"):
        model(x, STYLE, origin=(4, 0))
    with pytest.raises(InputError, match=r"\(N, 3, H, W\)"):
        model(x, STYLE[0])
    with pytest.raises(InputError, match="at least 4×4 pixels, got 3×7"):
        model(x, STYLE[..., :3, :7])
    with pytest.raises(InputError, match="multiples of 8, got 5×7"):
        model.read(STYLE[..., :5, :7])
