"""A small random perceptual network."""

import torch
from torch import Tensor


def weights() -> dict[str, Tensor]:
    """For `DistilledVGG19`: four channels a layer, under the names of the real weights."""
    generator = torch.Generator().manual_seed(0)
    state = {"conv0.weight": torch.eye(3)[:, :, None, None].clone(), "conv0.bias": torch.zeros(3)}
    channels = 3
    for name in ("11", "12", "21", "22", *map(str, range(31, 35)), *map(str, range(41, 45)), "51"):
        shape = (4, channels, 3, 3)
        state[f"conv{name}.weight"] = torch.randn(shape, generator=generator) / channels**0.5 / 3
        state[f"conv{name}.bias"] = torch.full((4,), 0.1)
        channels = 4
        if name.endswith("1"):
            state[f"conv{name}_aux.weight"] = torch.randn((6, 4, 1, 1), generator=generator)
            state[f"conv{name}_aux.bias"] = torch.randn(6, generator=generator)
    return state
