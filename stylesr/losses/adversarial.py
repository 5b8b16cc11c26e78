"""Adversarial losses: what a discriminator and a generator learn from the discriminator's scores.

Scores are (N, 1), or (N, 1, h, w) where each patch or pixel has one, without a sigmoid.
`GAN_LOSSES` has each kind by name; `r1_penalty` and `gradient_penalty` are added to the
discriminator's loss.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "GAN_LOSSES",
    "GanLoss",
    "gradient_penalty",
    "hinge_discriminator",
    "hinge_generator",
    "jitter",
    "least_squares_discriminator",
    "least_squares_generator",
    "r1_penalty",
    "relativistic_discriminator",
    "relativistic_generator",
    "vanilla_discriminator",
    "vanilla_generator",
    "wasserstein_discriminator",
    "wasserstein_generator",
]


# -- vanilla: Goodfellow et al. (2014), https://arxiv.org/abs/1406.2661 ---------------------------


def vanilla_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Binary cross-entropy: real scores should be positive, fake ones negative."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def vanilla_generator(fake: Tensor) -> Tensor:
    """The form that does not saturate: its pictures should be taken for real."""
    return F.softplus(-fake).mean()


# -- least squares: Mao et al. (2017), https://arxiv.org/abs/1611.04076 ---------------------------


def least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Real scores should be 1, fake ones 0."""
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def least_squares_generator(fake: Tensor) -> Tensor:
    """Its scores should be 1."""
    return (fake - 1).square().mean() / 2


# -- hinge: Lim and Ye (2017), https://arxiv.org/abs/1705.02894 -----------------------------------


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Loss of the discriminator: real scores should exceed 1, fake ones fall below −1."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def hinge_generator(fake: Tensor) -> Tensor:
    """Loss of the generator: its scores should rise."""
    return -fake.mean()


# -- Wasserstein: Arjovsky et al. (2017), https://arxiv.org/abs/1701.07875 ------------------------


def wasserstein_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Real scores should exceed fake ones; without bound, so the scores' slope needs one.

    Spectral normalisation or `gradient_penalty` gives it.
    """
    return fake.mean() - real.mean()


def wasserstein_generator(fake: Tensor) -> Tensor:
    """Its scores should rise."""
    return -fake.mean()


# -- relativistic average: Jolicoeur-Martineau (2019), https://arxiv.org/abs/1807.00734 -----------


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Real scores should exceed the mean fake one, fake ones stay below the mean real one."""
    return (F.softplus(fake.mean() - real).mean() + F.softplus(fake - real.mean()).mean()) / 2


def relativistic_generator(fake: Tensor, real: Tensor) -> Tensor:
    """The other way round."""
    return relativistic_discriminator(fake, real)


# -- by name --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GanLoss:
    """Both sides of an adversarial loss.

    Attributes:
        discriminator: takes real and fake scores.
        generator: takes the fake scores, and where `relative` also the real ones.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[..., Tensor]
    relative: bool = False


GAN_LOSSES: Mapping[str, GanLoss] = {
    "vanilla": GanLoss(vanilla_discriminator, vanilla_generator),
    "least-squares": GanLoss(least_squares_discriminator, least_squares_generator),
    "hinge": GanLoss(hinge_discriminator, hinge_generator),
    "wasserstein": GanLoss(wasserstein_discriminator, wasserstein_generator),
    "relativistic": GanLoss(relativistic_discriminator, relativistic_generator, relative=True),
}


# -- penalties ------------------------------------------------------------------------------------


def r1_penalty(scores: Tensor, real: Tensor) -> Tensor:
    """R1 (Mescheder et al., 2018, https://arxiv.org/abs/1801.04406): flat scores around real data.

    Half the squared norm of the scores' gradient with respect to the real pictures, mean over the
    scores; so its size does not grow with the pictures where each patch has a score.

    Args:
        scores: (N, 1) or (N, 1, h, w) in float32, computed from `real`.
        real: (N, 3, H, W) pictures on which `requires_grad` was set before.
    """
    (gradient,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
    return gradient.square().sum() / (2 * scores.numel())


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """WGAN-GP (Gulrajani et al., 2017, https://arxiv.org/abs/1704.00028): a slope of 1 in between.

    The squared distance from 1 of the norm of a picture's gradient, on random mixtures of real and
    fake pictures, mean over them. The score of a picture with several is their mean.

    Args:
        critic: pictures to scores.
        real, fake: (N, 3, H, W).
        mix: (N,) random shares of the real pictures, in [0, 1].
    """
    between = torch.lerp(fake, real, mix.view(-1, 1, 1, 1)).detach().requires_grad_()
    scores: Tensor = critic(between).float().flatten(1).mean(1)  # (N,)
    (gradient,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


# -- what the discriminator sees ------------------------------------------------------------------


def jitter(pictures: Tensor, rng: random.Random) -> Tensor:
    """Change the light, saturation and contrast of each picture at random, differentiably.

    DiffAugment's colours (Zhao et al., 2020, https://arxiv.org/abs/2006.10738) at half its ranges:
    a discriminator of few real pictures, seen so in real and generated ones alike, cannot know
    them by heart, and looks at form before colour.

    Args:
        pictures: (N, 3, H, W), RGB in [0, 1].
        rng: a generator; its state determines the changes.

    Returns:
        The same shape, no longer within [0, 1].
    """

    def each(low: float, high: float) -> Tensor:
        values = [rng.uniform(low, high) for _ in pictures]
        return pictures.new_tensor(values).view(-1, 1, 1, 1)

    pictures = pictures + each(-0.25, 0.25)
    gray = pictures.mean(1, keepdim=True)
    pictures = gray + (pictures - gray) * each(0.5, 1.5)
    mean = pictures.mean((1, 2, 3), keepdim=True)
    return mean + (pictures - mean) * each(0.75, 1.25)
