"""Methods that train nothing beforehand: one picture is optimised, for minutes.

`gatys` paints a photo in the style of works (Gatys et al., CVPR 2016,
https://arxiv.org/abs/1508.06576); `prior` enlarges, denoises or completes a picture with nothing
but the structure of a network (Deep Image Prior, Ulyanov et al., CVPR 2018,
https://arxiv.org/abs/1711.10925).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stylesr.errors import InputError
from stylesr.losses.perceptual import (
    DistilledVGG19,
    Moments,
    content_loss,
    mean_grams,
    mean_moments,
    moment_loss,
    moments,
    relative_gram_loss,
    total_variation,
)
from stylesr.models.base import check_range
from stylesr.resample import downscale, resize

__all__ = ["Fit", "gatys", "prior"]

Statistics: TypeAlias = Literal["gram", "moments", "normalised"]
Report: TypeAlias = Callable[[int, int], object]  # takes what is done, and all there is to do

# -- Gatys ----------------------------------------------------------------------------------------

CONTENT_LAYERS = {"relu4_1": 1.0}  # as published, but 4_2, which the distilled network lacks
STYLE_LAYERS = {f"relu{k}_1": 1.0 for k in range(1, 6)}
LEAST = 48  # pixels: relu5_1 is then 3 wide
HISTORY = 20  # gradients from which L-BFGS knows the curvature
LEG = 10  # its steps between two reports


def gatys(
    photo: Tensor,
    works: Sequence[Tensor],
    network: DistilledVGG19,
    *,
    start: Literal["photo", "noise"] = "photo",
    sizes: int = 3,
    steps: int = 100,
    style: float = 5.0,
    tv: float = 0.1,
    seed: int = 0,
    statistics: Statistics = "gram",
    report: Report | None = None,
) -> Tensor:
    """Paint a photo by changing its pixels until their features are those of photo and works.

    The losses are relative to the features of photo and works, so one weight fits most pairs. The
    picture is first painted small and then, from that result, at each further size: large forms
    are found where the network sees them whole.

    Args:
        photo: (1, 3, H, W), RGB in [0, 1], sides of at least 48.
        works: pictures (1, 3, h, w) of any size, whose statistics are averaged. A work is seen at
            its own size where the photo is, so that decides how large strokes are.
        network: judges content and style.
        start: from the photo, or from noise: freer, and the photo less clear.
        sizes: how many; each is half the next, the last is the photo's own.
        steps: of L-BFGS at each size, a multiple of 10 or rounded up to one.
        style: weight against the content's.
        tv: weight of the total variation, against noise.
        seed: of the noise.
        statistics: of the works' features: "gram" matrices as published; "moments", means and
            deviations alone, which take colours and contrast but less of the drawing; or
            "normalised" ones, where every channel counts as much.
        report: is told after each ten steps.

    Returns:
        (1, 3, H, W) in [0, 1].

    Raises:
        InputError: a picture that is too small or of another shape, no work, or a value that
            cannot work.
    """
    for picture in (photo, *works):
        if picture.ndim != 4 or picture.shape[:2] != (1, 3) or min(picture.shape[2:]) < LEAST:
            raise InputError(
                f"a picture (1, 3, H, W) of at least {LEAST}×{LEAST} is needed, "
                f"got {tuple(picture.shape)}"
            )
    if not works:
        raise InputError("gatys needs at least one work whose style it takes")
    if start not in ("photo", "noise"):
        raise InputError(f"start must be photo or noise, got {start!r}")
    if statistics not in get_args(Statistics):
        raise InputError(f"statistics are gram, moments or normalised, got {statistics!r}")
    if min(sizes, steps) < 1 or min(style, tv) < 0:
        raise InputError(
            f"sizes and steps are at least 1, style and tv at least 0; got sizes {sizes}, "
            f"steps {steps}, style {style}, tv {tv}"
        )
    factors = [2**k for k in reversed(range(sizes)) if min(photo.shape[2:]) >= LEAST * 2**k]
    legs = -(-steps // LEG)
    generator = torch.Generator().manual_seed(seed)
    painted = photo if start == "photo" else torch.rand(photo.shape, generator=generator).to(photo)
    for place, factor in enumerate(factors):
        with torch.no_grad():
            target = _reduced(photo, factor)
            wanted = network(target)
            seen = [_reduced(work, factor) for work in works]
            goal = mean_grams(network, seen), mean_moments(network, seen)
        objective = _Objective(network, wanted, *goal, statistics, style, tv)
        smaller = resize(painted, (target.shape[2], target.shape[3]))
        for leg, painted in enumerate(_descend(smaller, objective, legs), 1):  # noqa: B007
            if report:
                report(place * legs + leg, len(factors) * legs)
    return painted.clamp(0, 1).contiguous()


@dataclass(frozen=True)
class _Objective:
    """What is to become small: how far a picture is from the photo and from the works."""

    network: DistilledVGG19
    wanted: Mapping[str, Tensor]
    grams: Mapping[str, Tensor]
    moments: Mapping[str, Moments]
    statistics: Statistics
    style: float
    tv: float

    def __call__(self, pixels: Tensor) -> Tensor:
        seen = self.network(pixels.contiguous(memory_format=torch.channels_last))
        loss = content_loss(seen, self.wanted, CONTENT_LAYERS)
        if self.statistics == "gram":
            apart = relative_gram_loss(self.network.grams(seen), self.grams, STYLE_LAYERS)
        else:
            normalised = self.statistics == "normalised"
            found = moments(seen)
            apart = moment_loss(found, self.moments, STYLE_LAYERS, normalised=normalised)
        return loss + self.style * apart + self.tv * total_variation(pixels)


def _descend(picture: Tensor, objective: _Objective, legs: int) -> Iterator[Tensor]:
    """The picture after each ten steps of L-BFGS."""
    pixels = picture.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [pixels],
        max_iter=LEG,
        history_size=HISTORY,
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = objective(pixels) * pixels.numel()  # slopes of about 1
        loss.backward()
        return loss

    for _ in range(legs):
        optimizer.step(closure)
        yield pixels.detach()


def _reduced(picture: Tensor, factor: int) -> Tensor:
    height, width = (max(LEAST, round(side / factor)) for side in picture.shape[2:])
    return picture if factor == 1 else resize(picture, (height, width)).clamp(0, 1)


# -- Deep Image Prior -----------------------------------------------------------------------------

INPUTS = 32  # channels of the noise that becomes the picture
NOISE = 0.1  # its range, and
JITTER = 0.03  # what is added to it at each step, as published
LEVELS = 5
HELD_OUT = 0.05  # share of the given pixels that is never fitted
LEAST_HELD = 8  # pixels
LOOK_EVERY = 10  # steps
MEMORY = 0.98  # of the average of the results


@dataclass(frozen=True)
class Fit:
    """What `prior` returns.

    Attributes:
        pixels: (1, 3, H·scale, W·scale) in [0, 1].
        steps: after which the result was taken.
        psnr: in dB, on the given pixels that were held out, all channels.
    """

    pixels: Tensor
    steps: int
    psnr: float


def prior(
    picture: Tensor,
    *,
    scale: int = 1,
    known: Tensor | None = None,
    steps: int = 2000,
    patience: int = 300,
    channels: int = 32,
    seed: int = 0,
    report: Report | None = None,
) -> Fit:
    """Enlarge, denoise or complete a picture by fitting a random network to it.

    The network turns noise into a picture that, where it is given, equals the given one; what it
    learns first looks like a photo, and only later like noise. It stops by itself: a twentieth of
    the given pixels is never fitted, and the result is the average around the step where it came
    nearest to these. (The paper fixes the steps by looking at the original.)

    Args:
        picture: (1, 3, H, W), RGB in [0, 1].
        scale: 1 to 8. Above 1 the result, reduced, should equal the picture.
        known: (1, 1, H, W), true where the picture is given; the rest is invented. None: all.
        steps: at most.
        patience: steps without a gain after which it stops.
        channels: of the network, 4 to 128. The paper has 128; on a processor that takes an hour.
        seed: of weights and noise.
        report: is told after each step.

    Raises:
        InputError: a picture or a mask of another shape, a mask that leaves too little, or a value
            out of these bounds.
    """
    _check_prior(picture, scale, known, steps, patience, channels)
    height, width = (side * scale for side in picture.shape[2:])
    generator = torch.Generator().manual_seed(seed)
    given = torch.ones_like(picture[:, :1]) if known is None else known.to(picture)
    draws = torch.rand(given.shape, generator=generator).to(given) + 1 - given  # missing: from 1
    count = max(LEAST_HELD, round(HELD_OUT * int(given.sum())))
    held = (draws <= draws.flatten().kthvalue(count).values).to(given)
    fitted = given - held
    with torch.random.fork_rng([picture.device] if picture.is_cuda else []):
        torch.manual_seed(seed)
        network = _Hourglass(channels)
    network.to(picture.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    unit = 2**LEVELS
    size = [max(2, -(-side // unit)) * unit for side in (height, width)]  # 2: room to reflect
    noise = NOISE * torch.rand(1, INPUTS, *size, generator=generator)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    average: Tensor | None = None
    best = Fit(picture, 0, -float("inf"))
    for step in range(1, steps + 1):
        jitter = JITTER * torch.randn(noise.shape, generator=generator)
        result = network((noise + jitter).to(picture.device))[..., :height, :width]
        difference = (downscale(result, scale) - picture).square().mean(1, keepdim=True)
        optimizer.zero_grad()
        ((difference * fitted).sum() / fitted.sum()).backward()
        optimizer.step()
        with torch.no_grad():
            share = max(1 - MEMORY, 1 / step)
            average = result.detach() if average is None else average.lerp(result, share)
            if step % LOOK_EVERY == 0:
                off = (downscale(average, scale) - picture).square().mean(1, keepdim=True)
                psnr = -10 * float(((off * held).sum() / held.sum()).clamp_min(1e-10).log10())
                if psnr > best.psnr:
                    best = Fit(average.clone(), step, psnr)
        if report:
            report(step, steps)
        if step - best.steps >= patience:
            break
    return best


def _check_prior(
    picture: Tensor,
    scale: int,
    known: Tensor | None,
    steps: int,
    patience: int,
    channels: int,
) -> None:
    if picture.ndim != 4 or picture.shape[:2] != (1, 3) or min(picture.shape[2:]) < 16:
        raise InputError(
            f"a picture (1, 3, H, W) of at least 16×16 is needed, got {tuple(picture.shape)}"
        )
    check_range("scale", scale, 1, 8)
    check_range("steps", steps, LOOK_EVERY, 100_000)
    check_range("patience", patience, LOOK_EVERY, 100_000)
    check_range("channels", channels, 4, 128)
    if known is None:
        return
    if known.shape != (1, 1, *picture.shape[2:]):
        raise InputError(
            f"the mask is of {tuple(known.shape)}, the picture of {tuple(picture.shape)}; "
            "both need the same height and width"
        )
    if float(known.float().mean()) < 0.05:
        raise InputError("the mask leaves less than a twentieth of the picture")


class _Hourglass(nn.Module):
    """The paper's encoder and decoder with narrow skips; its statistics are those of one picture.

    Upsampling is bilinear, as published for super-resolution and completion.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = [INPUTS] + [channels] * LEVELS
        self.down = nn.ModuleList(
            nn.Sequential(_layer(a, b, 3, 2), _layer(b, b, 3)) for a, b in pairwise(widths)
        )
        self.skip = nn.ModuleList(_layer(width, 4, 1) for width in widths[:-1])
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(channels + 4),
                _layer(channels + 4, channels, 3),
                _layer(channels, channels, 1),
            )
            for _ in range(LEVELS)
        )
        self.last = nn.Conv2d(channels, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(1, 32, H, W), sides multiples of 32, to (1, 3, H, W) in [0, 1]."""
        beside = []
        for down, skip in zip(self.down, self.skip, strict=True):
            beside.append(skip(x))
            x = down(x)
        for up in self.up:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = up(torch.cat([x, beside.pop()], 1))
        return cast(Tensor, self.last(x)).sigmoid()


def _layer(channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(
        channels, out_channels, kernel, stride, padding=kernel // 2, padding_mode="reflect"
    )
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.LeakyReLU(0.2))
