"""Adversarial losses: hinge, as in Lim and Ye (2017, https://arxiv.org/abs/1705.02894)."""

import random

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["hinge_discriminator", "hinge_generator", "jitter", "r1_penalty"]


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Loss of the discriminator: real scores should exceed 1, fake ones fall below −1."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def hinge_generator(fake: Tensor) -> Tensor:
    """Loss of the generator: its scores should rise."""
    return -fake.mean()


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
