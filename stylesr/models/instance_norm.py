"""Networks with instance normalisation, whose statistics can be taken beforehand for tiles.

Thumbnail instance normalisation (Chen et al., AAAI 2022, https://arxiv.org/abs/2103.11784): each
tile is normalised by the means and variances that a small copy of the whole picture has, and no
longer by its own. Then nothing reads the whole picture, and tiles agree. By the averages of many
pictures, as batch normalisation has them, a place is painted by what is around it in any picture.
"""

import copy
from collections.abc import Iterable
from functools import partial
from typing import Self

import torch
from torch import Tensor, nn

from stylesr.errors import InputError

__all__ = ["InstanceNormalised"]


class InstanceNormalised(nn.Module):
    """Beside `Generator` a base of those that read the whole picture by `nn.InstanceNorm2d` alone.

    Their `receptive_field` is that of the rest: of what `pinned` returns.
    """

    @torch.no_grad()
    def pinned(self, pictures: Iterable[Tensor]) -> Self:
        """A copy of the network that normalises everything as it would these pictures on average.

        Args:
            pictures: (1, 3, H, W) each, RGB in [0, 1], of any sizes that `forward` takes. One, such
                as a smaller copy of a photo whose tiles are to be painted; or many, by which no
                photo's own contrast is stretched.

        Returns:
            The copy, in eval mode; for a single picture it gives what the network gives.

        Raises:
            InputError: no picture; wrong shape or type.
        """
        net = copy.deepcopy(self).eval().requires_grad_(False)
        norms = [part for part in net.modules() if isinstance(part, nn.InstanceNorm2d)]
        seen: list[list[Tensor]] = [[] for _ in norms]
        hooks = [
            norm.register_forward_pre_hook(partial(_note, notes))
            for norm, notes in zip(norms, seen, strict=True)
        ]
        for picture in pictures:
            net(picture)
        for hook in hooks:
            hook.remove()
        for norm, notes in zip(norms, seen, strict=True):
            if not notes:
                raise InputError("no picture to normalise by; give one or more")
            norm.running_var, norm.running_mean = torch.stack(notes).mean(0)
            norm.track_running_stats = True  # in eval mode: what was noted is used
        return net


def _note(notes: list[Tensor], norm: nn.InstanceNorm2d, inputs: tuple[Tensor]) -> None:
    """Add variances and means, (2, C), of an input (1, C, H, W)."""
    (x,) = inputs
    notes.append(torch.stack(torch.var_mean(x.float(), (0, 2, 3), correction=0)).to(x))
