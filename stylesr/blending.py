"""Weighted sums of networks: a style's strength, and mixes of styles or of enlargers.

Deep network interpolation (Wang et al., CVPR 2019, https://arxiv.org/abs/1811.10515): networks
trained from the same base can be added up weight by weight, and the sum is as fast as one.
"""

import copy
import math
from collections.abc import Hashable, Mapping
from typing import TypeVar

import torch

from stylesr.errors import InputError, ModelError
from stylesr.models.base import Generator
from stylesr.models.stylesr_net import StyleSRNet

__all__ = ["MAX_STRENGTH", "blend", "check_strength", "normalised", "strength", "weighted_sum"]

MAX_STRENGTH = 1.5

K = TypeVar("K", bound=Hashable)
N = TypeVar("N", bound=Generator)


def blend(weights: Mapping[StyleSRNet, float]) -> StyleSRNet:
    """Mix networks of one base, for example `blend({dots: 0.7, waves: 0.3})`.

    Args:
        weights: how much of each, at least 0; they are divided by their sum. The base itself may
            be among them.

    Returns:
        A new network on the device of the first style and of its dtype.

    Raises:
        InputError: no network, a negative weight, or only zeros.
        ModelError: the networks are of different bases or sizes.
    """
    parts = normalised(weights)
    families = {net.base_sha256 or net.fingerprint(): net.base for net in parts}
    if len(families) > 1:
        names = ", ".join(f"{name or 'a base'} ({sha[:12]})" for sha, name in families.items())
        raise ModelError(f"only networks of one base can be blended, these are of {names}")
    return weighted_sum(parts)


def strength(photo: StyleSRNet, style: StyleSRNet, amount: float) -> StyleSRNet:
    """The network `(1 - amount)·photo + amount·style`; its values are exact copies at 0 and 1.

    Args:
        photo: the base from which `style` was trained.
        style: a style, or a blend of styles of that base.
        amount: from 0, `photo`, over 1, `style`, to 1.5, more than it was trained for.

    Returns:
        A new network on the device of `style` and of its dtype. Beyond 1 its skip gain is kept
        from falling below 0.

    Raises:
        InputError: `amount` is out of range.
        ModelError: `style` is of another base or size.
    """
    check_strength(amount)
    found = photo.fingerprint()
    if style is not photo and style.base_sha256 != found:
        raise ModelError(
            f"the style was trained from {style.base or 'no base'} ({_short(style.base_sha256)}), "
            f"not from the photo network given ({_short(found)})"
        )
    if style is photo:
        return copy.deepcopy(photo)
    return weighted_sum({style: amount, photo: 1 - amount})


def weighted_sum(weights: Mapping[N, float]) -> N:
    """Add up networks of one class and base, which is not checked here.

    Summed in float32 in the order given. Networks of weight 0 take no part, so that a single one
    of weight 1 is copied exactly. With a negative weight the skip gain is clamped at 0: below, it
    would turn the picture into its negative.

    Raises:
        InputError: no network with a weight other than 0.
        ModelError: their parameters differ in name or shape.
    """
    parts = [(net, weight) for net, weight in weights.items() if weight != 0]
    if not parts:
        raise InputError("a blend needs at least one network with a weight above 0")
    # a mix of styles is a style
    model = next((net for net, _ in parts if getattr(net, "base", None)), parts[0][0])
    for net, _ in parts:
        if _shapes(net) != _shapes(model):
            raise ModelError(
                f"networks of different sizes cannot be blended: {model.config} and {net.config}"
            )
    result = copy.deepcopy(model)
    states = [(net.state_dict(), weight) for net, weight in parts]
    with torch.no_grad():
        for name, target in result.state_dict().items():
            terms = [state[name].to(target.device).float() * weight for state, weight in states]
            target.copy_(sum(terms[1:], start=terms[0]))
        if any(weight < 0 for _, weight in parts) and isinstance(result, StyleSRNet):
            result.skip_gain.clamp_(min=0)
    return result


def normalised(weights: Mapping[K, float]) -> dict[K, float]:
    """Weights divided by their sum, without those that are 0.

    Raises:
        InputError: a weight is negative or not a finite number, or none is above 0.
    """
    for name, weight in weights.items():
        if not _is_number(weight) or not 0 <= weight < math.inf:
            label = f" of {name!r}" if isinstance(name, str) else ""
            raise InputError(f"the weight{label} must be a number of at least 0, got {weight!r}")
    total = sum(weights.values())
    if total <= 0:
        raise InputError(f"a blend needs at least one weight above 0, got {weights!r}")
    return {name: weight / total for name, weight in weights.items() if weight > 0}


def check_strength(value: float) -> float:
    """Return `value` if it is a number in [0, 1.5], else raise InputError."""
    if not _is_number(value) or not 0 <= value <= MAX_STRENGTH:
        raise InputError(f"strength must be a number from 0 to {MAX_STRENGTH}, got {value!r}")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shapes(net: Generator) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in net.state_dict().items()}


def _short(sha256: str | None) -> str:
    return (sha256 or "none")[:12]
