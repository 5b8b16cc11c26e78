"""Losses against numbers worked out by hand and against independent ways to the same value."""

import math
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from stylesr.errors import ModelError
from stylesr.losses import perceptual
from stylesr.losses.adversarial import (
    GAN_LOSSES,
    gradient_penalty,
    hinge_discriminator,
    hinge_generator,
    jitter,
    r1_penalty,
)
from stylesr.losses.perceptual import (
    FINGERPRINT,
    DistilledVGG19,
    Moments,
    consistency_loss,
    content_loss,
    edge_loss,
    feature_loss,
    fingerprint,
    gram,
    half,
    lattice_loss,
    mean_grams,
    mean_moments,
    mean_power,
    moment_loss,
    moments,
    palette_loss,
    phase_loss,
    recolor_loss,
    relative_gram_loss,
    spectrum_loss,
    tone_loss,
    total_variation,
    weave_loss,
)
from stylesr.losses.pixel import PIXEL_LOSSES, charbonnier_loss, ssim_loss
from tests.tiny_features import weights as tiny_weights

Noise = Callable[..., Tensor]
LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


@pytest.fixture(scope="module")
def network() -> DistilledVGG19:
    return DistilledVGG19(tiny_weights())


# -- adversarial --------------------------------------------------------------------------------


def test_hinge_by_hand() -> None:
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, 0.0])
    # real: 0, 0.5, 2; fake: 0, 1
    assert hinge_discriminator(real, fake).item() == pytest.approx(2.5 / 3 + 0.5)
    assert hinge_generator(fake).item() == pytest.approx(1.5)


def test_vanilla_is_binary_cross_entropy(noise: Noise) -> None:
    real, fake = 6 * noise(4, 1, 3, 3) - 3, 6 * noise(4, 1, 3, 3, seed=1) - 3
    ones, zeros = torch.ones_like(real), torch.zeros_like(fake)
    cross_entropy = F.binary_cross_entropy_with_logits
    loss = GAN_LOSSES["vanilla"]
    expected = cross_entropy(real, ones) + cross_entropy(fake, zeros)
    assert torch.allclose(loss.discriminator(real, fake), expected)
    assert torch.allclose(loss.generator(fake), cross_entropy(fake, ones))


def test_vanilla_does_not_saturate_nor_overflow() -> None:
    """Where the discriminator is sure, the generator's gradient is whole: −1 a score."""
    fake = torch.tensor([-200.0, -100.0], requires_grad=True)
    loss = GAN_LOSSES["vanilla"].generator(fake)
    assert loss.item() == pytest.approx(150)
    loss.backward()
    assert fake.grad is not None and fake.grad.tolist() == [-0.5, -0.5]


def test_least_squares_by_hand() -> None:
    real, fake = torch.tensor([2.0, 1.0, -1.0]), torch.tensor([-3.0, 0.5])
    loss = GAN_LOSSES["least-squares"]
    assert loss.discriminator(real, fake).item() == pytest.approx((5 / 3 + 9.25 / 2) / 2)
    assert loss.generator(fake).item() == pytest.approx((16 + 0.25) / 4)


def test_wasserstein_by_hand() -> None:
    real, fake = torch.tensor([2.0, 1.0, -1.0]), torch.tensor([-3.0, 0.5])
    loss = GAN_LOSSES["wasserstein"]
    assert loss.discriminator(real, fake).item() == pytest.approx(-1.25 - 2 / 3)
    assert loss.generator(fake).item() == pytest.approx(1.25)


def test_relativistic_average_is_cross_entropy_of_differences(noise: Noise) -> None:
    """By the paper: D(x, y) = σ(C(x) − E C(y))."""
    real, fake = 6 * noise(5, 1) - 3, 6 * noise(5, 1, seed=1) - 3
    real_odds, fake_odds = (real - fake.mean()).sigmoid(), (fake - real.mean()).sigmoid()
    loss = GAN_LOSSES["relativistic"]
    assert loss.relative
    expected = -(real_odds.log().mean() + (1 - fake_odds).log().mean()) / 2
    assert torch.allclose(loss.discriminator(real, fake), expected)
    expected = -((1 - real_odds).log().mean() + fake_odds.log().mean()) / 2
    assert torch.allclose(loss.generator(fake, real), expected)


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_both_sides_pull_apart(name: str, noise: Noise) -> None:
    """The discriminator lowers its loss by real scores that rise; the generator by fake ones."""
    loss = GAN_LOSSES[name]
    real, fake = (noise(6, 1, seed=s).requires_grad_() for s in (0, 1))
    gradient = torch.autograd.grad(loss.discriminator(real, fake), (real, fake))
    assert gradient[0].sum() < 0 < gradient[1].sum()
    scores = (fake, real.detach()) if loss.relative else (fake,)
    assert torch.autograd.grad(loss.generator(*scores), fake)[0].sum() < 0


def test_gradient_penalty_by_hand() -> None:
    """Scores Σ w·x² / 2, two for each picture, have the gradient w·x between real and fake."""

    class Critic(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = torch.nn.Parameter(torch.tensor([1.0, 2.0]))

        def forward(self, x: Tensor) -> Tensor:
            return (self.w * x.square()).sum((1, 2, 3)).view(-1, 1).repeat(1, 2) / 2

    critic = Critic()
    real = torch.tensor([[4.0, 0.0], [1.0, 3.0]]).view(2, 1, 1, 2)
    fake = torch.tensor([[0.0, 2.0], [3.0, 1.0]]).view(2, 1, 1, 2)
    penalty = gradient_penalty(critic, real, fake, torch.tensor([0.75, 0.5]))
    # between: (3, 0.5) and (2, 2); the gradients (3, 1) and (2, 4)
    expected = ((10**0.5 - 1) ** 2 + (20**0.5 - 1) ** 2) / 2
    assert penalty.item() == pytest.approx(expected)
    penalty.backward()
    assert critic.w.grad is not None and critic.w.grad.abs().min() > 0


def test_r1_by_hand() -> None:
    """Scores w·x² have the gradient 2·w·x; the penalty's own gradient reaches w."""
    real = torch.tensor([[3.0, 1.0], [0.5, 2.0]]).view(2, 1, 1, 2).requires_grad_()
    w = torch.tensor([1.0, 2.0], requires_grad=True)
    penalty = r1_penalty((w * real.square()).sum((2, 3)), real)
    assert penalty.item() == pytest.approx(((36 + 16) + (1 + 64)) / 2 / 2)
    penalty.backward()
    assert w.grad is not None  # d/dw of Σ 4·w²·x² / 4
    assert w.grad.tolist() == pytest.approx([2 * (9 + 0.25), 4 * (1 + 4)])


def test_r1_of_patches_does_not_grow_with_the_picture() -> None:
    def penalty(side: int) -> Tensor:
        real = torch.ones(2, 3, side, side, requires_grad=True)
        return r1_penalty(F.avg_pool2d(real.square().sum(1, keepdim=True), 4), real)

    assert penalty(8).item() == pytest.approx(48 * (2 / 16) ** 2 / 2)  # 48 values in a patch
    assert penalty(32).item() == pytest.approx(penalty(8).item())


# -- pixels -------------------------------------------------------------------------------------


def test_charbonnier_by_hand() -> None:
    a, b = torch.tensor([0.3, 0.5, 0.0]), torch.tensor([0.0, 0.5, 0.4])
    expected = ((0.09 + 1e-6) ** 0.5 + 1e-3 + (0.16 + 1e-6) ** 0.5) / 3
    assert charbonnier_loss(a, b).item() == pytest.approx(expected)


def test_ssim_of_one_window_by_its_definition(noise: Noise) -> None:
    """11×11 pixels hold a single window: weighted means, variances and covariance."""
    a, b = noise(2, 3, 11, 11).double(), noise(2, 3, 11, 11, seed=1).double()
    weights = torch.tensor([math.exp(-((i - 5) ** 2) / (2 * 1.5**2)) for i in range(11)]).double()
    window = torch.outer(weights, weights) / weights.sum() ** 2
    each = []
    for x, y in zip(a.flatten(0, 1), b.flatten(0, 1), strict=True):
        mx, my = (window * x).sum(), (window * y).sum()
        vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
        cov = (window * (x - mx) * (y - my)).sum()
        same_light = (2 * mx * my + 1e-4) / (mx**2 + my**2 + 1e-4)
        each.append(same_light * (2 * cov + 9e-4) / (vx + vy + 9e-4))
    expected = 1 - sum(each) / len(each)
    assert torch.allclose(ssim_loss(a, b), torch.as_tensor(expected), atol=1e-12)


@pytest.mark.parametrize("name", PIXEL_LOSSES)
def test_a_pixel_loss_is_least_where_pictures_are_equal(name: str, noise: Noise) -> None:
    a = noise(1, 3, 16, 16)
    same = PIXEL_LOSSES[name](a, a).item()
    assert same == pytest.approx(1e-3 if name == "charbonnier" else 0, abs=1e-6)
    worse = [PIXEL_LOSSES[name](a, a + step * noise(1, 3, 16, 16, seed=1)) for step in (0.1, 0.2)]
    assert same < worse[0] < worse[1]


# -- Gram matrices ------------------------------------------------------------------------------


def test_gram_by_hand() -> None:
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, -1.0]]]])  # (1, 2, 1, 2)
    expected = [[2.5, 0.5, 1.5], [0.5, 5.0, 1.0], [1.5, 1.0, 1.0]]
    assert torch.allclose(gram(features), torch.tensor([expected]))


def test_gram_is_float32_whatever_the_features() -> None:
    assert gram(torch.ones(1, 2, 4, 4, dtype=torch.bfloat16)).dtype == torch.float32


def test_mapped_grams_are_those_of_mapped_features(network: DistilledVGG19, noise: Noise) -> None:
    """The constant channel lets a Gram matrix be mapped by a convolution with bias afterwards."""
    state = tiny_weights()
    features = network(noise(2, 3, 48, 64))
    grams = network.grams(features)
    for layer in LAYERS:
        name = f"conv{layer[4]}1_aux"
        mapped = F.conv2d(features[layer], state[f"{name}.weight"], state[f"{name}.bias"])
        flat = mapped.flatten(2)
        expected = torch.einsum("nik,njk->nij", flat, flat) / flat.shape[-1]
        assert torch.allclose(grams[layer], expected, rtol=1e-4, atol=1e-6), layer


def test_relative_gram_by_hand() -> None:
    target = {"a": torch.tensor([[[3.0, 4.0]]]), "b": torch.tensor([[[2.0]]])}  # ‖·‖² = 25 and 4
    ours = {
        "a": torch.tensor([[[3.0, 4.0]], [[3.0, 9.0]]]),  # 0 and 25
        "b": torch.tensor([[[2.0]], [[3.0]]]),  # 0 and 1
    }
    # a: (0 + 1) / 2, b: (0 + 1/4) / 2, weighted 1 to 3
    expected = (1 * 0.5 + 3 * 0.125) / 4
    loss = relative_gram_loss(ours, target, {"a": 1.0, "b": 3.0})
    assert loss.item() == pytest.approx(expected)


def test_pooled_pictures_share_the_work_between_them() -> None:
    """One has half of what the work has, the other half more: together they have it all."""
    target = {"a": torch.tensor([[[2.0]]])}
    ours = {"a": torch.tensor([[[1.0]], [[3.0]]])}
    weights = {"a": 1.0}
    losses = [
        relative_gram_loss(ours, target, weights, pooled=share).item() for share in (0, 0.5, 1)
    ]
    assert losses == pytest.approx([1 / 4, 1 / 16, 0])


def test_relative_gram_bounded_by_hand() -> None:
    """Divided by the mean of both squares: the same for equal ones, at most 2 for a dark target."""
    target = {"a": torch.tensor([[[2.0]], [[0.001]]])}
    ours = {"a": torch.tensor([[[1.0]], [[3.0]]], requires_grad=True)}
    loss = relative_gram_loss(ours, target, {"a": 1.0}, bounded=True)
    first, second = 1 / ((4 + 1) / 2), (3 - 0.001) ** 2 / ((0.001**2 + 9) / 2)
    assert loss.item() == pytest.approx((first + second) / 2)
    assert second < 2 < relative_gram_loss(ours, target, {"a": 1.0}).item() / 1e6
    loss.backward()  # the divisor is taken as constant
    expected = [2 * (1 - 2) / ((4 + 1) / 2) / 2, 2 * (3 - 0.001) / ((0.001**2 + 9) / 2) / 2]
    assert ours["a"].grad is not None
    assert ours["a"].grad.flatten().tolist() == pytest.approx(expected)


def test_relative_gram_of_the_style_itself_is_zero(network: DistilledVGG19, noise: Noise) -> None:
    grams = network.grams(network(noise(1, 3, 64, 64)))
    weights = dict.fromkeys(LAYERS, 1.0)
    assert relative_gram_loss(grams, grams, weights).item() == 0
    other = network.grams(network(noise(1, 3, 64, 64, seed=1) ** 3))
    assert relative_gram_loss(other, grams, weights).item() > 1e-4


def test_mean_grams_weighs_works_alike_whatever_their_size(
    network: DistilledVGG19, noise: Noise
) -> None:
    small, large = noise(1, 3, 32, 32), noise(1, 3, 64, 96, seed=1) ** 2
    both = mean_grams(network, [small, large])
    for layer in LAYERS:
        each = [network.grams(network(work))[layer] for work in (small, large)]
        assert torch.allclose(both[layer], (each[0] + each[1]) / 2)


# -- means and deviations -----------------------------------------------------------------------


def test_moments_are_those_of_numpy(noise: Noise) -> None:
    features = noise(2, 3, 5, 7)
    (mean, deviation) = moments({"a": features.bfloat16()})["a"]
    values = features.bfloat16().float().numpy().reshape(2, 3, -1)
    assert mean.dtype == deviation.dtype == torch.float32
    assert np.allclose(mean, values.mean(-1), atol=1e-5)
    assert np.allclose(deviation, values.std(-1), atol=1e-5)


def test_moment_loss_by_hand() -> None:
    target = {"a": Moments(torch.tensor([[3.0, 1.0]]), torch.tensor([[2.0, 0.5]]))}
    ours = {"a": Moments(torch.tensor([[3.0, 1.0], [4.0, 2.0]]), torch.tensor([[2.0, 0.5]] * 2))}
    ours["b"], target["b"] = (Moments(torch.ones(1, 1) * k, torch.ones(1, 1)) for k in (3, 1))
    weights = {"a": 1.0, "b": 3.0}
    # a: nothing, and 1 + 1 of 9 + 1 + 4 + 1/4; b: 4 of 1 + 1
    expected = (1 * (0 + 2 / 14.25) / 2 + 3 * 2) / 4
    assert moment_loss(ours, target, weights).item() == pytest.approx(expected)
    # in the work's deviations, a: the mean of 1/4 and 1/0.25; b: 4
    expected = (1 * (0 + (0.25 + 4) / 2) / 2 + 3 * 4) / 4
    assert moment_loss(ours, target, weights, normalised=True).item() == pytest.approx(expected)


def test_moments_of_works_are_averaged_and_the_work_itself_is_near(
    network: DistilledVGG19, noise: Noise
) -> None:
    small, large = noise(1, 3, 32, 32), noise(1, 3, 64, 96, seed=1) ** 2
    both = mean_moments(network, [small, large])
    each = [moments(network(work)) for work in (small, large)]
    weights = dict.fromkeys(LAYERS, 1.0)
    for layer in LAYERS:
        for k in range(2):
            assert torch.allclose(both[layer][k], (each[0][layer][k] + each[1][layer][k]) / 2)
    for normalised in (False, True):
        assert moment_loss(each[0], each[0], weights, normalised=normalised).item() == 0
        assert moment_loss(each[1], each[0], weights, normalised=normalised).item() > 1e-3


def test_a_flat_picture_has_a_slope(noise: Noise) -> None:
    flat = torch.full((1, 2, 4, 4), 0.5, requires_grad=True)
    goal = moments({"a": noise(1, 2, 4, 4)})
    moment_loss(moments({"a": flat}), goal, {"a": 1.0}, normalised=True).backward()
    assert flat.grad is not None and flat.grad.isfinite().all() and flat.grad.any()


# -- other terms --------------------------------------------------------------------------------


def test_content_by_hand() -> None:
    target = {"a": torch.full((2, 1, 1, 2), 2.0)}  # ‖·‖² = 8 each
    ours = {"a": torch.tensor([[[[2.0, 2.0]]], [[[4.0, 0.0]]]])}  # 0 and 8
    assert content_loss(ours, target, {"a": 0.7}).item() == pytest.approx(0.5)
    assert content_loss(target, target, {"a": 0.7}).item() == 0


def test_features_by_hand() -> None:
    target = {"a": torch.full((2, 1, 1, 2), 2.0), "b": torch.full((1, 1, 1, 1), -4.0)}
    ours = {"a": torch.tensor([[[[2.0, 3.0]]], [[[4.0, 1.0]]]]), "b": torch.zeros(1, 1, 1, 1)}
    # a: (0 + 1 + 2 + 1) / 8; b: 4 / 4
    assert feature_loss(ours, target, {"a": 3, "b": 1}).item() == pytest.approx((3 * 0.5 + 1) / 4)
    assert feature_loss(target, target, {"a": 3, "b": 1}).item() == 0


@pytest.mark.parametrize("move", [(0, 0), (2, -1), (-3, 3)])
def test_what_moves_with_the_photo_is_consistent(move: tuple[int, int]) -> None:
    picture = torch.rand(2, 3, 16, 20, generator=torch.Generator().manual_seed(0))
    moved = picture.roll(move, (2, 3))
    assert consistency_loss(picture, moved, *move).item() == 0
    assert consistency_loss(picture, moved + 0.25, *move).item() == pytest.approx(0.25)
    assert consistency_loss(picture, moved, move[0] + 1, move[1]).item() > 0.2


def test_jitter_changes_colours_not_form() -> None:
    pictures = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    pictures.requires_grad_()
    changed = jitter(pictures, random.Random(1))
    assert torch.equal(changed, jitter(pictures, random.Random(1)))
    assert not torch.equal(changed, jitter(pictures, random.Random(2)))
    for before, after in zip(pictures.detach(), changed.detach(), strict=True):
        luma = torch.stack([before.mean(0).flatten(), after.mean(0).flatten()])
        assert torch.corrcoef(luma)[0, 1].item() == pytest.approx(1, abs=1e-5)
        assert abs((after - before).mean().item()) <= 0.25 + 1e-6
        contrast = (luma[1].std() / luma[0].std()).item()
        assert 0.75 <= contrast <= 1.25
    (gradient,) = torch.autograd.grad(changed.sum(), pictures)
    assert gradient.abs().min() > 0


def test_the_spectrum_shows_a_weave_that_the_lattice_loss_passes_over(noise: Noise) -> None:
    """Of two frequencies beside that of the lattice: its phase turns, so no place stands out."""
    photo = F.avg_pool2d(noise(2, 3, 100, 100), 5, 1)  # 96×96, smooth
    columns = torch.arange(96.0) * 2 * math.pi / 96
    weave = 6 / 255 * (torch.cos(23 * columns) + torch.cos(25 * columns))
    woven = photo + weave
    assert spectrum_loss(photo, photo).item() == 0
    assert spectrum_loss(photo, woven).item() < 1e-6  # less power than the target is no weave
    assert spectrum_loss(woven, photo).item() > 0.02
    assert spectrum_loss(photo + 0.1 / 255 * noise(2, 3, 96, 96, seed=1), photo).item() < 0.01


def test_the_power_of_noise_is_its_variance(noise: Noise) -> None:
    gray = noise(1, 1, 512, 512).expand(1, 3, -1, -1)  # of variance 1/12
    power = mean_power([gray, gray[..., :256]])
    assert power.shape == (64, 33)
    assert power[3:-3, 3:-3].mean().item() == pytest.approx(255**2 / 12, rel=0.03)
    assert mean_power([torch.full((1, 3, 64, 64), 0.4)]).max().item() < 1e-6


def test_a_weave_is_power_gathered_in_few_frequencies(noise: Noise) -> None:
    work = F.avg_pool2d(noise(1, 3, 400, 400), 3, 1)
    painted = F.avg_pool2d(noise(2, 3, 226, 226, seed=1), 3, 1)
    rows = torch.arange(224.0)[:, None] * 2 * math.pi
    weave = 8 / 255 * torch.cos(0.36 * rows + 0.08 * rows.T)
    power = mean_power([work])
    plain = weave_loss(painted, power).item()
    assert plain < 0.02
    assert weave_loss(0.3 * painted + 0.3, power).item() < 0.03  # contrast is not what it judges
    assert weave_loss(painted + weave, power).item() > 5 * plain
    assert (
        weave_loss(painted + weave, mean_power([work[..., :224, :224] + weave])).item()
        < plain + 0.02
    )
    broad = 8 / 255 * torch.cos(0.05 * rows + 0.02 * rows.T)  # a stroke's width, no weave
    assert weave_loss(painted + broad, power).item() < plain + 0.02


def test_total_variation_by_hand() -> None:
    picture = torch.tensor([[[[0.0, 1.0], [0.5, 0.5]]]])
    # along rows: 1 and 0; along columns: 0.5 and 0.5
    assert total_variation(picture).item() == pytest.approx(0.5 + 0.5)
    assert total_variation(torch.full((1, 3, 5, 7), 0.3)).item() == 0


def test_edge_by_hand() -> None:
    """A vertical edge of green, 0 to 1: at half size one step of 0.587 in three, on every row."""
    target = torch.zeros(1, 3, 8, 8)
    target[:, 1, :, 4:] = 1
    assert edge_loss(torch.zeros(1, 3, 8, 8), target).item() == pytest.approx(0.587 / 3)
    assert edge_loss(target.transpose(2, 3), target).item() == pytest.approx(2 * 0.587 / 3)
    assert edge_loss(target + 0.2, target).item() == pytest.approx(0, abs=1e-6)


def test_tone_follows_the_light_whatever_the_palette() -> None:
    rows = torch.linspace(0, 1, 32).view(1, 1, 32, 1).expand(1, 3, 32, 32)
    assert 0 < tone_loss(rows, rows).item() < 0.04, "all but what keeps flat pictures from noise"
    assert tone_loss(0.5 + 0.5 * rows, rows).item() < 0.08, "contrast and lightness are free"
    assert tone_loss(1 - rows, rows).item() > 1.96, "a negative is not"
    assert tone_loss(torch.full_like(rows, 0.5), rows).item() == pytest.approx(1)


def test_tone_by_hand() -> None:
    """Two halves, 0.2 and 0.6, against 0.1 and 0.9: spreads 0.2 and 0.4, correlation 1."""
    a, b = torch.full((1, 3, 8, 16), 0.2), torch.full((1, 3, 8, 16), 0.1)
    a[..., 8:], b[..., 8:] = 0.6, 0.9
    assert tone_loss(a, b).item() == pytest.approx(1 - 0.08 / (0.08 + 0.0025), rel=1e-4)


def test_tone_has_a_slope_on_a_blown_sky(noise: Noise) -> None:
    varied, flat = noise(2, 3, 32, 32), torch.ones(2, 3, 32, 32)
    for painted, target in ((varied, flat), (flat, varied), (flat, flat)):
        picture = painted.clone().requires_grad_(True)
        tone_loss(picture, target).backward()
        assert picture.grad is not None and picture.grad.isfinite().all()


def test_recolor_takes_any_palette_and_no_patches(noise: Noise) -> None:
    """A map of colours costs almost nothing; what goes its own way costs its share."""
    photo = noise(2, 3, 16, 16).repeat_interleave(16, 2).repeat_interleave(16, 3)
    palette = torch.tensor([[0.2, 0.5, -0.4], [-0.6, 0.3, 0.2], [0.5, -0.1, 0.7]])
    mapped = 0.5 + torch.einsum("oc,nchw->nohw", palette, photo - photo.square())
    other = noise(2, 3, 16, 16, seed=1).repeat_interleave(16, 2).repeat_interleave(16, 3)
    strokes = 0.3 * torch.tensor([1.0, -1.0]).repeat(128)
    assert recolor_loss(mapped, photo).item() < 0.06
    assert recolor_loss(mapped + strokes, photo).item() < 0.06, "fine strokes are free"
    assert recolor_loss(other, photo).item() > 0.85
    assert recolor_loss(other, torch.full_like(photo, 0.4)).item() > 0.95, "nothing to follow"
    assert recolor_loss(torch.full_like(photo, 0.4), photo).item() == pytest.approx(0, abs=1e-6)


def test_palette_is_of_colours_in_the_large(noise: Noise) -> None:
    flat = noise(2, 3, 4, 4).repeat_interleave(16, 2).repeat_interleave(16, 3)
    strokes = 0.2 * torch.tensor([1.0, -1.0]).repeat(32)
    assert palette_loss(flat + strokes, flat).item() < 1e-5, "fine strokes are free"
    assert palette_loss(flat + 0.1, flat).item() == pytest.approx(0.1, rel=1e-4)
    assert palette_loss(flat.flip(1), flat).item() > 0.1, "which colour, not how light alone"


def test_recolor_by_least_squares(noise: Noise) -> None:
    """Against an independent solver of the same fit, its ridge as rows of their own."""
    ours, photo = noise(1, 3, 10, 12), noise(1, 3, 10, 12, seed=1)
    y, x = (z[0].flatten(1).T.double() for z in (ours, photo))  # a place each row
    x = x - x.mean(0)
    light = x.mean(1, keepdim=True)
    x = torch.cat([x, 2 * x**2, 4 * light * x, 4 * light**3], 1)
    x, y = x - x.mean(0), y - y.mean(0)
    ridge = 0.02 * math.sqrt(len(x)) * torch.eye(x.shape[1]).double()
    fit = torch.linalg.lstsq(torch.cat([x, ridge]), torch.cat([y, torch.zeros(len(ridge), 3)]))
    rest = (y - x @ fit.solution).square().mean()
    expected = rest / (y.square().mean() + 0.0025)
    assert recolor_loss(ours, photo, reduce=1).item() == pytest.approx(expected.item(), rel=1e-4)


def test_lattice_by_hand() -> None:
    """A dot in each block of 4×4: all the detail repeats, of variance (225 + 15) / 256 / 16."""
    grid = torch.zeros(1, 3, 56, 56)
    grid[..., 1::4, 2::4] = 1
    energy = 240 / 256 / 16
    assert lattice_loss(grid).item() == pytest.approx(energy / (energy + 2e-4), rel=1e-4)
    assert lattice_loss(torch.full((1, 3, 56, 56), 0.7)).item() == pytest.approx(0, abs=1e-6)
    # a wave of 7 pixels falls differently on each of the seven blocks of a window
    wave = 0.5 + 0.3 * (torch.arange(56) * math.tau / 7).sin().expand(1, 3, 56, 56)
    assert lattice_loss(wave).item() == pytest.approx(0, abs=1e-6)


def test_phase_by_hand() -> None:
    """A lone dot: |1 - 1/9|² on its own place, 1/81 on its eight neighbours, each on another."""
    dot = torch.zeros(1, 3, 16, 16)
    dot[..., 9, 6] = 1
    energies = torch.tensor([64.0] + [1.0] * 8 + [0.0] * 7)
    expected = (energies / energies.mean()).var(correction=0).item()
    assert phase_loss(dot).item() == pytest.approx(expected, rel=0.02)  # 1e-6 beside the energy
    assert phase_loss(torch.full((1, 3, 16, 16), 0.7)).item() == pytest.approx(0, abs=1e-6)


def test_phase_knows_sparse_dots_on_a_lattice_from_scattered_ones(noise: Noise) -> None:
    """The same number of dots, in a noisy picture: one in fifty blocks has one."""
    base = 0.5 + 0.02 * noise(1, 3, 224, 224)
    random = torch.Generator().manual_seed(0)
    rows, columns = torch.randint(0, 56, (2, 60), generator=random)
    places = torch.randint(0, 4, (2, 60), generator=random)
    on_lattice, scattered = base.clone(), base.clone()
    on_lattice[..., 4 * rows + 1, 4 * columns + 2] = 0
    scattered[..., 4 * rows + places[0], 4 * columns + places[1]] = 0
    assert phase_loss(on_lattice) > 5 * phase_loss(scattered)
    assert phase_loss(base) < 0.05


def test_half() -> None:
    assert half(torch.tensor([[[[0.0, 1.0], [1.0, 0.0]]]])).tolist() == [[[[0.5]]]]


def test_every_term_has_a_gradient(network: DistilledVGG19, noise: Noise) -> None:
    target = noise(1, 3, 64, 64, seed=1) ** 2
    seen_target = network(target)
    terms: dict[str, Callable[[Tensor], Tensor]] = {
        "content": lambda x: content_loss(network(x), seen_target, {"relu4_1": 1.0}),
        "features": lambda x: feature_loss(network(x), seen_target, dict.fromkeys(LAYERS, 1.0)),
        "style": lambda x: relative_gram_loss(
            network.grams(network(x)), network.grams(seen_target), {"relu3_1": 1.0}
        ),
        "tone": lambda x: tone_loss(x, target),
        "recolor": lambda x: recolor_loss(x, target),
        "palette": lambda x: palette_loss(x, target),
        "edge": lambda x: edge_loss(x, target),
        "tv": total_variation,
        "lattice": lattice_loss,
        "phase": phase_loss,
        "weave": lambda x: weave_loss(x, mean_power([target])),
    }
    for name, term in terms.items():
        picture = noise(1, 3, 64, 64).requires_grad_(True)
        term(picture).backward()
        assert picture.grad is not None, name
        assert picture.grad.isfinite().all() and picture.grad.abs().max() > 0, name


# -- the perceptual network ---------------------------------------------------------------------


def test_features_halve_in_size_layer_by_layer(network: DistilledVGG19, noise: Noise) -> None:
    features = network(noise(2, 3, 32, 64))
    assert tuple(features) == LAYERS
    for depth, layer in enumerate(LAYERS):
        assert features[layer].shape == (2, 4, 32 >> depth, 64 >> depth)
        assert features[layer].min() >= 0


def test_features_are_those_of_the_layers_in_order(network: DistilledVGG19, noise: Noise) -> None:
    """The first two layers once more, in plain functions and without channels_last."""
    state, x = tiny_weights(), noise(1, 3, 32, 32)

    def convolve(x: Tensor, name: str) -> Tensor:
        return F.relu(F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1))

    features = network(x)
    first = convolve(x, "conv11")  # conv0 changes nothing in the tiny network
    assert torch.allclose(features["relu1_1"], first, atol=1e-6)
    second = convolve(F.max_pool2d(convolve(first, "conv12"), 2), "conv21")
    assert torch.allclose(features["relu2_1"], second, atol=1e-6)


def test_network_is_frozen_and_moves_as_a_whole(network: DistilledVGG19) -> None:
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert {"mix", "shift", *(f"{layer}_map" for layer in LAYERS)} == set(
        dict(network.named_buffers())
    )


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    state = tiny_weights()
    del state["conv33.bias"]
    save_file(state, str(tmp_path / "less.safetensors"))
    with pytest.raises(ModelError, match=r"lacks 'conv33\.bias'"):
        DistilledVGG19.load(tmp_path / "less.safetensors")
    (tmp_path / "text").write_text("no weights")
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        DistilledVGG19.load(tmp_path / "text")
    with pytest.raises(ModelError, match="no perceptual network at"):
        DistilledVGG19.load(tmp_path / "missing")


def test_published_weights(shared_weights: Path, scene: Callable[[int, int], Tensor]) -> None:
    path = shared_weights / "vgg19-distilled-16x.safetensors"
    assert fingerprint(load_file(str(path))) == FINGERPRINT
    network = DistilledVGG19.load(path)
    features = network(scene(64, 64)[None])
    assert [f.shape[1] for f in features.values()] == [16, 32, 64, 128, 128]
    assert [g.shape[-1] for g in network.grams(features).values()] == [64, 128, 256, 512, 512]


def test_fingerprint_depends_on_names_shapes_and_values() -> None:
    state = {"a": torch.ones(2, 3), "b": torch.zeros(1)}
    same = {"b": torch.zeros(1), "a": torch.ones(2, 3, dtype=torch.float16)}
    assert fingerprint(same) == fingerprint(state)
    for other in (
        {"a": torch.ones(3, 2), "b": torch.zeros(1)},
        {"c": torch.ones(2, 3), "b": torch.zeros(1)},
        {"a": torch.ones(2, 3), "b": torch.full((1,), 1e-7)},
    ):
        assert fingerprint(other) != fingerprint(state)


# -- fetching it --------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; the tiny weights are those expected."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(perceptual, "FINGERPRINT", fingerprint(tiny_weights()))
    return tmp_path / "stylesr"


def serve(monkeypatch: pytest.MonkeyPatch, content: object) -> list[str]:
    """Let downloads write `content`, bytes as they are; returns the addresses asked for."""
    asked = []

    def download(url: str, path: str) -> None:
        asked.append(url)
        if isinstance(content, bytes):
            Path(path).write_bytes(content)
        else:
            torch.save(content, path)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    return asked


@pytest.mark.parametrize("wrapped", [False, True])
def test_fetched_once_checked_and_kept(
    wrapped: bool, cache: Path, monkeypatch: pytest.MonkeyPatch, noise: Noise
) -> None:
    state = tiny_weights()
    asked = serve(monkeypatch, {"model": state} if wrapped else state)
    first, second = DistilledVGG19.load(), DistilledVGG19.load()
    assert asked == [perceptual.URL], "the second time the cache is used"
    assert [path.name for path in cache.iterdir()] == ["vgg19-distilled-16x.safetensors"]
    x = noise(1, 3, 32, 32)
    expected = DistilledVGG19(state)(x)["relu5_1"]
    assert torch.equal(first(x)["relu5_1"], expected)
    assert torch.equal(second(x)["relu5_1"], expected)


def test_other_weights_are_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tiny_weights()
    state["conv51.bias"] = state["conv51.bias"] + 1e-6
    serve(monkeypatch, state)
    with pytest.raises(ModelError, match="holds other weights than expected"):
        DistilledVGG19.load()
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"half of a file", [1, 2, 3]])
def test_a_download_that_is_no_network_leaves_nothing(
    content: object, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, content)
    with pytest.raises(ModelError, match="could not be fetched from"):
        DistilledVGG19.load()
    assert list(cache.iterdir()) == []


def test_a_broken_connection_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(url: str, path: str) -> None:
        Path(path).write_bytes(b"the first bytes")
        raise ConnectionResetError("reset by peer")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(ModelError, match="reset by peer"):
        DistilledVGG19.load()
    assert list(cache.iterdir()) == []


def test_a_full_disk_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(state: dict[str, Tensor], path: str) -> None:
        Path(path).write_bytes(b"the first bytes")
        raise OSError("no space left on device")

    serve(monkeypatch, tiny_weights())
    monkeypatch.setattr(perceptual, "save_file", save)
    with pytest.raises(ModelError, match="no space left"):
        DistilledVGG19.load()
    assert list(cache.iterdir()) == []
