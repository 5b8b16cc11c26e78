"""Networks with instance normalisation, whose statistics can be taken beforehand for tiles.

Thumbnail instance normalisation (Chen et al., AAAI 2022, https://arxiv.org/abs/2103.11784): each
tile is normalised by the means and variances that a small copy of the whole picture has, and no
longer by its own. Then nothing reads the whole picture, and tiles agree.
"""

import copy
from typing import Any, Self

import torch
from torch import Tensor, nn

__all__ = ["InstanceNormalised"]


class InstanceNormalised(nn.Module):
    """Beside `Generator` a base of those that read the whole picture by `nn.InstanceNorm2d` alone.

    Their `receptive_field` is that of the rest: of what `pinned` returns.
    """

    @torch.no_grad()
    def pinned(self, picture: Tensor) -> Self:
        """A copy of the network that normalises everything as it would normalise this picture.

        Args:
            picture: (1, 3, H, W), RGB in [0, 1]: a photo, or a smaller copy of it, whose tiles are
                to be painted. `forward` must take it.

        Returns:
            The copy, in eval mode; for this picture itself it gives what the network gives.

        Raises:
            InputError: wrong shape or type.
        """
        net = copy.deepcopy(self).eval().requires_grad_(False)
        norms = [part for part in net.modules() if isinstance(part, nn.InstanceNorm2d)]
        hooks = [norm.register_forward_hook(_keep_statistics) for norm in norms]
        net(picture)
        for hook in hooks:
            hook.remove()
        for norm in norms:
            norm.track_running_stats = True  # in eval mode: what was kept is used
        return net


def _keep_statistics(norm: nn.InstanceNorm2d, inputs: tuple[Any, ...], output: Tensor) -> None:
    """Keep mean and variance of each of the input's channels."""
    (x,) = inputs  # (1, C, H, W)
    variance, mean = torch.var_mean(x.float(), (0, 2, 3), correction=0)
    norm.running_mean, norm.running_var = mean.to(x), variance.to(x)
