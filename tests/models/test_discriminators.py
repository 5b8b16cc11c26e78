import pytest
import torch
from torch import Tensor

from stylesr.errors import InputError
from stylesr.models.discriminators import (
    PatchDiscriminator,
    UNetDiscriminator,
    VGGDiscriminator,
)


@pytest.fixture
def critic() -> PatchDiscriminator:
    torch.manual_seed(0)
    return PatchDiscriminator(channels=4)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 40), (72, 100)])
def test_scores_one_a_patch(critic: PatchDiscriminator, height: int, width: int) -> None:
    scores = critic(torch.rand(2, 3, height, width))
    assert scores.shape == (2, 1, height // 8 - 3, width // 8 - 3)


def test_a_score_sees_46_pixels(critic: PatchDiscriminator) -> None:
    picture = torch.rand(1, 3, 104, 104, requires_grad=True)
    scores = critic(picture)
    scores[0, 0, 5, 5].backward()
    seen = picture.grad.abs().sum((0, 1)) > 0  # type: ignore[union-attr]
    rows, columns = seen.any(1).nonzero().flatten(), seen.any(0).nonzero().flatten()
    assert len(rows) == len(columns) == 46
    assert int(rows[-1] - rows[0]) == int(columns[-1] - columns[0]) == 45


def test_the_published_patch_is_of_70_pixels_and_pairs_are_seen_at_once() -> None:
    critic = PatchDiscriminator(channels=4, patch=70, pictures=2)
    pair = torch.rand(1, 6, 128, 128, requires_grad=True)
    scores = critic(pair)
    assert scores.shape == (1, 1, 10, 10)
    scores[0, 0, 5, 5].backward()
    seen = pair.grad.abs().sum(0) > 0  # type: ignore[union-attr]
    assert seen.any(2).any(1).all(), "every channel of both"
    rows = seen.any(0).any(1).nonzero().flatten()
    assert len(rows) == 70 and int(rows[-1] - rows[0]) == 69
    with pytest.raises(InputError, match="patch must be 46 or 70, got 64"):
        PatchDiscriminator(patch=64)


def test_weights_are_of_spectral_norm_one(critic: PatchDiscriminator) -> None:
    """After some passes the largest singular value of each convolution, as a matrix, is 1."""
    for _ in range(60):  # each pass is a step of the power iteration
        critic(torch.rand(1, 3, 32, 32))
    critic.eval()
    convolutions = [layer for layer in critic.layers if isinstance(layer, torch.nn.Conv2d)]
    assert len(convolutions) == 4
    for convolution in convolutions:
        values = torch.linalg.svdvals(convolution.weight.detach().flatten(1))
        assert values[0].item() == pytest.approx(1, abs=0.02)


def test_states_survive_saving(critic: PatchDiscriminator) -> None:
    """Its power iteration is part of the state: a resumed run goes on with the same norm."""
    critic(torch.rand(1, 3, 32, 32))
    other = PatchDiscriminator(channels=4)
    other.load_state_dict(critic.state_dict())
    picture = torch.rand(1, 3, 48, 48)
    scores: list[Tensor] = [net(picture) for net in (critic, other)]
    assert torch.equal(*scores)


def test_frozen_it_still_passes_gradients_to_the_picture(critic: PatchDiscriminator) -> None:
    critic.requires_grad_(False)
    picture = torch.rand(1, 3, 40, 40, requires_grad=True)
    critic(picture).mean().backward()
    assert picture.grad is not None and picture.grad.abs().max() > 0
    assert all(parameter.grad is None for parameter in critic.parameters())


# -- U-Net --------------------------------------------------------------------------------------


@pytest.fixture
def unet() -> UNetDiscriminator:
    torch.manual_seed(0)
    return UNetDiscriminator(channels=4)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (64, 40)])
def test_unet_scores_each_pixel(unet: UNetDiscriminator, height: int, width: int) -> None:
    scores = unet(torch.rand(2, 3, height, width))
    assert scores.shape == (2, 1, height, width)
    assert scores.std() > 0


def test_unet_refuses_sides_it_cannot_halve(unet: UNetDiscriminator) -> None:
    with pytest.raises(InputError, match="multiples of 8, got 36×40"):
        unet(torch.rand(1, 3, 36, 40))


def test_unet_sees_far_and_near(unet: UNetDiscriminator) -> None:
    """By its levels a score knows its surroundings, by its skips it knows its place."""
    picture = torch.rand(1, 3, 128, 128, requires_grad=True)
    unet(picture)[0, 0, 64, 64].backward()
    assert picture.grad is not None
    seen = picture.grad.abs().sum((0, 1))
    rows = (seen > 0).any(1).nonzero().flatten()
    assert 40 < len(rows) < 120
    assert (seen[62:67, 62:67].mean() > 5 * seen[30:50, 30:50].mean()).item()


def test_unet_normalises_all_but_the_first_and_last_layer(unet: UNetDiscriminator) -> None:
    for _ in range(60):  # each pass is a step of the power iteration
        unet(torch.rand(1, 3, 16, 16))
    unet.eval()
    convolutions = [m for m in unet.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 10
    norms = [
        torch.linalg.svdvals(conv.weight.detach().flatten(1))[0].item()
        for conv in convolutions
        if conv.bias is None
    ]
    assert norms == pytest.approx([1] * 8, abs=0.02)


def test_unet_scores_stay_bounded_where_the_picture_changes(unet: UNetDiscriminator) -> None:
    """Normalised layers cannot blow a small difference up, whatever the weights are."""
    with torch.no_grad():
        for parameter in unet.parameters():
            if parameter.ndim > 1:
                parameter.mul_(100)
        for end in (unet.first, unet.last[-1]):
            end.weight.div_(100)  # type: ignore[union-attr]
    picture = torch.rand(1, 3, 64, 64)
    for _ in range(20):
        unet(picture)
    change = (unet(picture + 0.001) - unet(picture)).abs().max().item()
    assert 0 < change < 0.5


def test_unet_states_survive_saving(unet: UNetDiscriminator) -> None:
    unet(torch.rand(1, 3, 16, 16))
    other = UNetDiscriminator(channels=4)
    other.load_state_dict(unet.state_dict())
    picture = torch.rand(1, 3, 24, 24)
    assert torch.equal(unet(picture), other(picture))


# -- VGG ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(16, 16), (40, 64), (50, 33)])
def test_vgg_scores_a_picture(height: int, width: int) -> None:
    assert VGGDiscriminator(4)(torch.rand(3, 3, height, width)).shape == (3, 1)


def test_vgg_judges_each_picture_by_itself() -> None:
    critic = VGGDiscriminator(4).eval()  # training would advance the power iteration
    pictures = torch.rand(3, 3, 32, 32)
    alone = torch.cat([critic(picture[None]) for picture in pictures])
    assert torch.allclose(critic(pictures), alone, atol=1e-6)


def test_vgg_has_the_papers_widths() -> None:
    """Eight convolutions of 64 to 512 channels, then 1024 and one."""
    shapes = [p.shape[0] for p in VGGDiscriminator(64).parameters() if p.ndim > 1]
    assert shapes == [64, 64, 128, 128, 256, 256, 512, 512, 1024, 1]


def test_vgg_takes_a_second_derivative() -> None:
    """As a gradient penalty does."""
    critic = VGGDiscriminator(4)
    picture = torch.rand(2, 3, 32, 32, requires_grad=True)
    (slope,) = torch.autograd.grad(critic(picture).sum(), picture, create_graph=True)
    slope.square().sum().backward()
    gradients = [p.grad for p in critic.parameters() if p.ndim == 4]
    assert all(g is not None and g.abs().max() > 0 for g in gradients)
