"""How fast the pipeline is, against a well-known network in the same run.

Seconds depend on the machine, so only the ratio is worth a place on a card.
"""

import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from stylesr.models import CompactNet, Generator
from stylesr.picture import to_levels
from stylesr.pipeline import StyleSRPipeline

__all__ = [
    "PEER",
    "median_seconds",
    "multiply_adds",
    "random_picture",
    "run_network",
    "time_ratio",
]

PEER = "a compact network of 64 channels and 32 convolutions (the shape of realesr-general-x4v3)"


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
    picture = random_picture(size)
    peer = CompactNet().eval()
    peer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    jobs: list[Callable[[], object]] = [
        lambda: pipe(picture, style=style, scale=4).images[0],
        lambda: run_network(peer, picture),
    ]
    ours, theirs = median_seconds(jobs, runs=runs, threads=threads)
    return ours / theirs


def median_seconds(
    jobs: Sequence[Callable[[], object]], *, runs: int = 7, threads: int = 2
) -> list[float]:
    """Median time of each job; they run in turn, `runs` times after a warm-up.

    Args:
        threads: of torch; set back afterwards.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        times = [[_seconds(job) for job in jobs] for _ in range(runs + 1)][1:]  # the first warms up
    finally:
        torch.set_num_threads(before)
    return [median(column) for column in zip(*times, strict=True)]


def random_picture(size: int) -> Image.Image:
    """A square picture of random RGB values, the same each time."""
    levels = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    return Image.fromarray(levels)


@torch.inference_mode()
def run_network(network: Callable[[Tensor], Tensor], picture: Image.Image) -> Image.Image:
    """An RGB picture through a network as it is, without a pipeline.

    Args:
        network: takes and gives (1, 3, H, W), RGB in [0, 1]; its input is channels_last.
    """
    x = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255
    result = network(x.contiguous(memory_format=torch.channels_last))
    return Image.fromarray(to_levels(result[0]).byte().permute(1, 2, 0).contiguous().numpy())


def multiply_adds(net: Generator, scale: int, output: tuple[int, int] = (720, 1280)) -> int:
    """Multiplications with addition in all convolutions, for one picture of this output size.

    Counted on a small picture, since they grow with its area.

    Args:
        net: any network; its convolutions are what it costs.
        scale: one of its factors.
        output: height and width of the result in pixels.
    """
    side, counts = 24, []

    def count(conv: nn.Module, _: object, result: Tensor) -> None:
        assert isinstance(conv, nn.Conv2d)
        counts.append(result.numel() * conv.weight[0].numel())

    convolutions = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    hooks = [layer.register_forward_hook(count) for layer in convolutions]
    try:  # with gradients: without, StyleSRNet works in strips that overlap
        net(torch.zeros(1, 3, side, side, device=net.device, dtype=net.dtype), scale)
    finally:
        for hook in hooks:
            hook.remove()
    return round(sum(counts) / (side * scale) ** 2 * output[0] * output[1])


def _seconds(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start
