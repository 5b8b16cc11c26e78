"""Adversarial losses: hinge, as in Lim and Ye (2017, https://arxiv.org/abs/1705.02894)."""

from torch import Tensor
from torch.nn import functional as F

__all__ = ["hinge_discriminator", "hinge_generator"]


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Loss of the discriminator: real scores should exceed 1, fake ones fall below −1."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def hinge_generator(fake: Tensor) -> Tensor:
    """Loss of the generator: its scores should rise."""
    return -fake.mean()
