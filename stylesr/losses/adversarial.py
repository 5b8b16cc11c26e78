"""Adversarial losses: hinge, as in Lim and Ye (2017, https://arxiv.org/abs/1705.02894)."""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["hinge_discriminator", "hinge_generator", "r1_penalty"]


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
