"""How fast the pipeline is, against a well-known network in the same run.

Seconds depend on the machine, so only the ratio is worth a place on a card.
"""

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from stylesr.picture import to_levels
from stylesr.pipeline import StyleSRPipeline

__all__ = ["PEER", "CompactNet", "time_ratio"]

PEER = "a compact network of 64 channels and 32 convolutions (the shape of realesr-general-x4v3)"


class CompactNet(nn.Module):
    """The shape of Real-ESRGAN's small ×4 network (https://arxiv.org/abs/2107.10833).

    Convolutions at the input's size and one pixel shuffle; parameters are named as upstream.
    """

    def __init__(self, channels: int = 64, convolutions: int = 32, scale: int = 4) -> None:
        super().__init__()
        self.scale = scale
        layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, padding=1), nn.PReLU(channels)]
        for _ in range(convolutions):
            layers += [nn.Conv2d(channels, channels, 3, padding=1), nn.PReLU(channels)]
        layers.append(nn.Conv2d(channels, 3 * scale**2, 3, padding=1))
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] to (N, 3, H·scale, W·scale)."""
        return F.pixel_shuffle(self.body(x), self.scale) + F.interpolate(x, scale_factor=self.scale)


def time_ratio(
    pipe: StyleSRPipeline, style: str, *, size: int = 256, runs: int = 7, threads: int = 2
) -> float:
    """Time of the whole pipeline at ×4 divided by that of a `CompactNet`, PIL in and PIL out.

    Both run in turn, `runs` times after a warm-up, in the channels_last layout; the ratio is that
    of the medians. The peer's weights are random: they do not change its time.

    Args:
        style: a name loaded in `pipe`.
        size: side of the square input in pixels.
        threads: of torch, for both; set back afterwards.
    """
    levels = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    picture = Image.fromarray(levels)
    peer = CompactNet().eval()
    peer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    jobs: list[Callable[[], object]] = [
        lambda: pipe(picture, style=style, scale=4).images[0],
        lambda: _enlarge(peer, picture),
    ]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        times = [[_seconds(job) for job in jobs] for _ in range(runs + 1)][1:]  # the first warms up
    finally:
        torch.set_num_threads(before)
    ours, theirs = (median(column) for column in zip(*times, strict=True))
    return ours / theirs


@torch.inference_mode()
def _enlarge(net: CompactNet, picture: Image.Image) -> Image.Image:
    x = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255
    result = net(x.contiguous(memory_format=torch.channels_last))
    return Image.fromarray(to_levels(result[0]).byte().permute(1, 2, 0).contiguous().numpy())


def _seconds(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start
