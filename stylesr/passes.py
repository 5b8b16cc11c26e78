"""A picture's way through the networks: which run at which sizes, and how one of them runs.

StyleSRNet enlarges by 1, 2 or 4. Any factor up to 8 is made of these: the smallest one that reaches
the wanted size, antialiased reduction to it, and above ×4 one more ×2 by `photo`. With a brush the
style paints a smaller picture and `photo` enlarges the rest. Networks of other factors run as often
as it takes. In a chain a style paints at the picture's own size, and any network enlarges that.
"""

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from stylesr import tiling
from stylesr.errors import InputError
from stylesr.models.adain_net import AdaINNet, Statistics
from stylesr.models.base import Generator as Net
from stylesr.models.instance_norm import InstanceNormalised
from stylesr.models.stylesr_net import TRUNK, StyleSRNet
from stylesr.resample import resize

__all__ = [
    "BORDER",
    "BRUSHES",
    "MAX_SCALE",
    "Pass",
    "Size",
    "chain_passes",
    "check_whole",
    "count_pixels",
    "count_tiles",
    "default_brush",
    "photo_passes",
    "run_pass",
    "style_passes",
    "target_size",
]

Network: TypeAlias = Literal["photo", "style", "enlarger"]
Size: TypeAlias = tuple[int, int]  # (height, width)

BRUSHES = (1, 2, 4)
MAX_SCALE = 8
FINE_SIDE = 1448  # longest side painted at full size: 1448² is two million pixels
BORDER = 12  # trunk pixels around a picture that is painted: without, a style leaves a frame
READ_SIDE = 1024  # output pixels of the copy from which a photo's statistics are taken
TILE_SIZE = 1024 + 2 * BORDER * TRUNK  # output pixels: pictures of 2048 and 4096 divide evenly
WHOLE_SIZE = 1536  # output pixels up to which a picture is not divided
WHOLE_PIXELS = 4_000_000  # of a picture that is never divided: its network reads all of it


@dataclass(frozen=True)
class Pass:
    """One run of a network over the whole picture, resized to `source` before where needed.

    What paints gets a border of mirrored picture, of so many trunk pixels; what only enlarges was
    trained to end where the picture ends.
    """

    network: Network
    source: Size
    factor: int
    border: int = 0

    @property
    def result(self) -> Size:
        """Size of what the network returns."""
        return self.source[0] * self.factor, self.source[1] * self.factor


def target_size(size: Size, scale: float) -> Size:
    """Each side times `scale`, rounded half up, at least 1.

    Raises:
        InputError: `scale` is not a number above 0 and up to 8.
    """
    is_number = isinstance(scale, int | float) and not isinstance(scale, bool)
    if not is_number or not 0 < scale <= MAX_SCALE:
        raise InputError(f"scale must be a number above 0 and up to {MAX_SCALE}, got {scale!r}")
    height, width = (max(1, math.floor(side * scale + 0.5)) for side in size)
    return height, width


def default_brush(target: Size) -> int:
    """The brush that keeps strokes about the same size relative to the picture."""
    longest = max(target)
    return next((b for b in BRUSHES if longest <= FINE_SIDE * b), BRUSHES[-1])


def photo_passes(
    size: Size,
    target: Size,
    scales: Sequence[int] = StyleSRNet.scales,
    network: Network = "photo",
) -> tuple[Pass, ...]:
    """Passes of one network that enlarges; none for a reduction, which is antialiased resizing.

    Nor are there any for the same size where 1 is not among the network's factors.
    """
    if _needed(size, target) <= 1 and (size != target or 1 not in scales):
        return ()
    passes = [_first(network, size, target, scales)]
    while _needed(passes[-1].result, target) > 1:
        passes.append(_first(network, passes[-1].result, target, scales))
    return tuple(passes)


def style_passes(size: Size, target: Size, brush: int, border: int = BORDER) -> tuple[Pass, ...]:
    """Passes that paint at `target` divided by `brush` and enlarge the rest by `photo`."""
    painted = (math.ceil(target[0] / brush), math.ceil(target[1] / brush))
    first = _first("style", size, painted, StyleSRNet.scales, border)
    passes = [first]
    if _needed(first.result, painted) > 1:
        passes.append(Pass("photo", first.result, 2))
    if brush > 1:
        passes.append(Pass("photo", painted, brush))
    return tuple(passes)


def chain_passes(
    size: Size, target: Size, brush: int | None, scales: Sequence[int], border: int = 0
) -> tuple[Pass, ...]:
    """Passes that paint at the picture's own size, then enlarge that by a network of `scales`.

    With a brush it is painted at `target` divided by it. A reduction comes before the painting.
    """
    painted = size if _needed(size, target) > 1 else target
    if brush:
        painted = (math.ceil(target[0] / brush), math.ceil(target[1] / brush))
    first = Pass("style", painted, 1, border)
    if _needed(painted, target) <= 1:
        return (first,)
    return (first, *photo_passes(painted, target, scales, "enlarger"))


def check_whole(name: str, net: Net, passes: Sequence[Pass]) -> None:
    """Raise InputError where a network that reads the whole picture would get one too large."""
    for height, width in (step.source for step in passes if step.network == "style"):
        if net.receptive_field(1) is None and height * width > WHOLE_PIXELS:
            raise InputError(
                f"{name!r} reads a picture as a whole, of up to {WHOLE_PIXELS:,} pixels; this one "
                f"has {width}×{height}: make it smaller first, or give a larger brush"
            )


def _first(
    network: Network, size: Size, target: Size, scales: Sequence[int], border: int = 0
) -> Pass:
    """By the smallest factor that reaches `target`, or by the largest one."""
    factor = next((n for n in scales if n >= _needed(size, target)), scales[-1])
    return Pass(network, target if factor == 1 else size, factor, border)


def _needed(size: Size, target: Size) -> float:
    """The factor that reaches `target`."""
    return max(target[0] / size[0], target[1] / size[1])


def count_tiles(net: Net, step: Pass, tile_size: int | None) -> int:
    """How many tiles `run_pass` will compute."""
    padded = _padded_size(net, step)
    return len(tiling.plan(*padded, tile_size=_tile_size(net, step, tile_size)))


def count_pixels(net: Net, step: Pass) -> int:
    """How many output pixels `run_pass` will compute, borders included: what its time goes by."""
    height, width = _padded_size(net, step)
    return height * width * step.factor**2


def run_pass(
    net: Net,
    pixels: Tensor,
    step: Pass,
    *,
    seed: int,
    tile_size: int | None,
    style: Statistics | None = None,
    strength: float = 1.0,
    place: Size = (0, 0),
) -> Generator[tuple[int, int], None, Tensor]:
    """Pad, enlarge in tiles, crop and clamp.

    Args:
        net: computes on its own device and in its own dtype.
        pixels: (1, 3, H, W) float32, RGB in [0, 1], of the pass's source size, on any device.
        step: gives the factor and the border.
        seed: of the noise of what paints.
        place: of the picture in a larger scene, in input pixels down and right. Noise and trunk
            stay with the scene: a picture that has moved by whole pixels is painted as it was.
        tile_size: in output pixels, a multiple of 4; None takes 1120, and one tile for a result
            of up to 1536². A network that reads the whole picture gets it in one tile; of
            statistics alone, an AdaINNet or one with instance normalisation takes them once, from
            a copy of at most 1024 output pixels a side, and all tiles use these.
        style, strength: of an AdaINNet.

    Yields:
        (done, total) after each tile.

    Returns:
        (1, 3, H·factor, W·factor) float32 in [0, 1] on the device of `pixels`, as the generator's
        value.
    """

    @torch.inference_mode()
    def enlarge(window: Tensor, top: int, left: int) -> Tensor:
        window = window.to(net.device, net.dtype).contiguous(memory_format=torch.channels_last)
        if isinstance(net, StyleSRNet | AdaINNet):
            origin = (top + place[0] - phase[0], left + place[1] - phase[1])
            options.update(seed=seed, origin=origin)
        return net(window, scale=factor, **options).float().to(pixels.device)

    factor, multiple = step.factor, net.multiple_of(step.factor)
    phase = (place[0] % multiple, place[1] % multiple)
    before = (_border(step) + phase[0], _border(step) + phase[1])
    options: dict[str, Any] = {}
    alone = max(step.result) <= READ_SIDE and count_tiles(net, step, tile_size) == 1
    with torch.inference_mode():
        if isinstance(net, AdaINNet):
            assert style is not None, "a pipeline has read it"
            content = net.read(_copy(net, pixels, factor), factor)
            options = {"style": style, "content": content, "strength": strength}
        elif isinstance(net, InstanceNormalised) and not alone:  # alone it reads the same
            net = net.pinned([_copy(net, pixels, factor)])
    height, width = step.source
    padded = _padded_size(net, step, phase)
    output = yield from tiling.run(
        enlarge,
        _pad(pixels, padded, before),
        factor=factor,
        tile_size=_tile_size(net, step, tile_size),
        overlap=net.receptive_field(factor) or 0,
        multiple=multiple,
    )
    top, left = (side * factor for side in before)
    output = output[..., top : top + height * factor, left : left + width * factor]
    return output.clamp_(0, 1)


def _border(step: Pass) -> int:
    """In input pixels."""
    return step.border * TRUNK // step.factor


def _padded_size(net: Net, step: Pass, phase: Size = (0, 0)) -> Size:
    """With the border on each side and the phase before it, up to what the network takes."""
    multiple, least = net.multiple_of(step.factor), net.min_size
    ends = zip(step.source, phase, strict=True)
    sides = (max(n + 2 * _border(step) + more, least) for n, more in ends)
    height, width = (-(-side // multiple) * multiple for side in sides)
    return height, width


def _pad(image: Tensor, size: Size, before: Size) -> Tensor:
    """To `size`, reflected along an axis where there is room and replicated where not."""
    for axis, length, first in zip((-2, -1), size, before, strict=True):
        after = length - first - image.shape[axis]
        sides = (0, 0, first, after) if axis == -2 else (first, after, 0, 0)
        mode = "reflect" if image.shape[axis] > max(first, after) else "replicate"
        image = F.pad(image, sides, mode=mode)
    return image


def _tile_size(net: Net, step: Pass, tile_size: int | None) -> int | None:
    """In input pixels, a multiple of what the network takes; None for one tile."""
    if net.receptive_field(step.factor) is None:
        return None
    if tile_size is None:
        if max(step.result) <= WHOLE_SIZE:
            return None
        tile_size = TILE_SIZE
    multiple = net.multiple_of(step.factor)
    return tile_size // step.factor // multiple * multiple


def _copy(net: Net, pixels: Tensor, factor: int) -> Tensor:
    """The whole picture, smaller where it is large, for a network that reads its statistics."""
    reduce = max(1.0, max(pixels.shape[-2:]) * factor / READ_SIDE)
    height, width = (max(1, round(side / reduce)) for side in pixels.shape[-2:])
    if reduce > 1:
        pixels = resize(pixels, (height, width)).clamp(0, 1)
    pixels = _pad(pixels, _padded_size(net, Pass("style", (height, width), factor)), (0, 0))
    return pixels.to(net.device, net.dtype).contiguous(memory_format=torch.channels_last)
