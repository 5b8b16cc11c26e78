"""Networks as the recipes call them: every factor in one step, and strengths in between."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from stylesr.models.stylesr_net import StyleSRNet

__all__ = ["BothWays", "EveryFactor", "Painter", "SameSize", "Translated"]


class EveryFactor(nn.Module):
    """Runs a network at several factors in one call, so that every step trains every part of it.

    For super-resolution that is several times faster than taking the factors in turn.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Sequence[tuple[int, Tensor]], **options: Any) -> list[Tensor]:
        """Pairs (factor, pictures) to pictures, all of one size."""
        return [self.model(x, scale=scale, **options) for scale, x in inputs]


class Painter(nn.Module):
    """A style in training, that also runs at strengths between its base (0) and itself (1)."""

    def __init__(self, style: StyleSRNet, base: StyleSRNet) -> None:
        super().__init__()
        self.style = style
        self.anchor = nn.ParameterDict(
            {name.replace(".", "/"): p.detach().clone() for name, p in base.named_parameters()}
        ).requires_grad_(False)

    def forward(self, x: Tensor, scale: int, seeds: list[int], strength: float) -> Tensor:
        """Paint pictures at a factor with the weights base + strength · (style − base)."""
        weights: dict[str, Tensor] = dict(self.style.named_parameters())
        if strength != 1:
            weights = {
                name: torch.lerp(self.anchor[name.replace(".", "/")], p, strength)
                for name, p in weights.items()
            }
        return functional_call(self.style, weights, (x, scale, seeds))


class SameSize(nn.Module):
    """A network of one style that keeps the size, called as a `Painter` is."""

    def __init__(self, style: nn.Module) -> None:
        super().__init__()
        self.style = style

    def forward(self, x: Tensor, scale: int, seeds: list[int], strength: float) -> Tensor:
        """Paint pictures; it has neither factors nor noise nor strengths."""
        return self.style(x)


class Translated(NamedTuple):
    """What `BothWays` makes of pictures a of one kind and b of another; all as large as these."""

    b: Tensor  # of a
    a: Tensor  # of b
    a_again: Tensor  # by both networks, one after the other
    b_again: Tensor
    a_same: Tensor  # by the network whose results should be of that kind already
    b_same: Tensor


class BothWays(nn.Module):
    """Two networks that translate into each other's kind, as CycleGAN trains them.

    Args:
        there, back: the networks.
        noise: standard deviation of Gaussian noise, in units of [0, 1], through which the second
            network has to see what the first one made. It drowns the faint dots in which they
            otherwise tell each other what the picture was (Chu et al., 2017,
            https://arxiv.org/abs/1712.02950).
    """

    def __init__(self, there: nn.Module, back: nn.Module, noise: float = 0.0) -> None:
        super().__init__()
        self.there = there
        self.back = back
        self.noise = noise

    def forward(self, a: Tensor, b: Tensor) -> Translated:
        """(N, 3, H, W) of both kinds, by each of the networks and by one after the other."""
        as_b, b_same = self.there(torch.cat([a, b])).chunk(2)
        as_a, a_same = self.back(torch.cat([b, a])).chunk(2)
        a_again, b_again = self.back(self.veiled(as_b)), self.there(self.veiled(as_a))
        return Translated(as_b, as_a, a_again, b_again, a_same, b_same)

    def veiled(self, x: Tensor) -> Tensor:
        """Pictures behind noise."""
        return x + self.noise * torch.randn_like(x) if self.noise else x
