"""The commands that optimise one picture: `stylesr gatys` and `stylesr prior`.

As in `cli`, what is slow to import is imported by the command that needs it, and an option that is
not given is not passed on.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from stylesr.errors import InputError

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the commands to the parser of `stylesr`."""
    _add_gatys(commands)
    _add_prior(commands)


def _gatys(
    photo: str,
    output: str,
    works: list[str],
    side: int = 512,
    work_side: int | None = None,
    perceptual: str | None = None,
    **options: Any,
) -> None:
    from stylesr import images
    from stylesr.losses.perceptual import DistilledVGG19
    from stylesr.per_image import gatys

    source = images.decode_for(photo, output)
    pixels = _at_most(source, side, "--side")
    seen = [_at_most(images.decode(work), work_side or side, "--work-side") for work in works]
    network = DistilledVGG19.load(perceptual)
    with _progress("ten steps") as report:
        painted = gatys(pixels, seen, network, report=report, **options)
    _save(painted, source, output, gray=False)


def _prior(picture: str, output: str, mask: str | None = None, **options: Any) -> None:
    from stylesr import images
    from stylesr.per_image import prior

    source = images.decode_for(picture, output)
    known = None
    if mask:
        known = images.decode(mask).pixels.mean(0)[None, None] < 0.5  # white is missing
    with _progress("step") as report:
        fit = prior(source.pixels[None], known=known, report=report, **options)
    result = fit.pixels.mean(1, keepdim=True).repeat(1, 3, 1, 1) if source.gray else fit.pixels
    _save(result, source, output, gray=source.gray)
    print(f"taken at step {fit.steps}: {fit.psnr:.2f} dB on the pixels held out")


def _at_most(picture: Any, side: int, option: str) -> Any:
    """(1, 3, H, W) of a `Picture`, its longest side reduced to `side` where it is larger."""
    from stylesr.resample import resize

    if side < 1:
        raise InputError(f"{option} is at least 1, got {side}")
    factor = min(1.0, side / max(picture.height, picture.width))
    size = (max(1, round(picture.height * factor)), max(1, round(picture.width * factor)))
    return resize(picture.pixels[None], size).clamp(0, 1)


def _save(result: Any, source: Any, output: str, gray: bool) -> None:
    """Write (1, 3, H, W) with what the source had besides its pixels."""
    from dataclasses import replace

    from stylesr import images
    from stylesr.resample import resize

    alpha = source.alpha
    if alpha is not None:
        alpha = resize(alpha[None], (result.shape[2], result.shape[3]))[0].clamp(0, 1)
    images.save(replace(source, pixels=result[0], alpha=alpha, gray=gray), output)


@contextmanager
def _progress(unit: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, and what moves it."""
    from tqdm import tqdm

    with tqdm(unit=unit, disable=None) as bar:

        def report(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield report


# -- options --------------------------------------------------------------------------------------


def _add_gatys(commands: Any) -> None:
    parser = commands.add_parser(
        "gatys",
        help="paint a photo like one or more works, without a trained style",
        description="Paint a photo in the style of any works by optimising its pixels (Gatys et "
        "al., 2016). It takes minutes; a trained style takes a second.",
        epilog="Example: stylesr gatys cat.jpg painted.png --works waves.jpg",
        argument_default=argparse.SUPPRESS,
    )
    parser.set_defaults(command=_gatys)
    parser.add_argument("photo", metavar="IN", help="a JPEG, PNG, WebP, TIFF or BMP file")
    parser.add_argument("output", metavar="OUT", help="the result; its extension is its format")
    parser.add_argument(
        "--works", nargs="+", required=True, metavar="FILE", help="whose style; several are mixed"
    )
    parser.add_argument(
        "--side",
        type=int,
        help="longest side of the result; the time goes by its square (default: 512)",
    )
    parser.add_argument(
        "--work-side", type=int, help="of the works: larger for larger strokes (default: --side)"
    )
    parser.add_argument(
        "--start",
        choices=("photo", "noise"),
        help="noise is freer, the photo less clear (default: photo)",
    )
    parser.add_argument(
        "--sizes", type=int, help="at which it is painted, each twice the one before (default: 3)"
    )
    parser.add_argument("--steps", type=int, help="at each of the sizes (default: 100)")
    parser.add_argument("--style", type=float, help="its weight against the content (default: 5)")
    parser.add_argument(
        "--statistics",
        choices=("gram", "moments", "normalised"),
        help="of the works: gram as published, or means and deviations alone (default: gram)",
    )
    parser.add_argument("--tv", type=float, help="weight of smoothness (default: 0.1)")
    parser.add_argument("--seed", type=int, help="of the noise (default: 0)")
    parser.add_argument(
        "--perceptual",
        metavar="FILE",
        help="the perceptual network; fetched once when left out (4 MB)",
    )


def _add_prior(commands: Any) -> None:
    parser = commands.add_parser(
        "prior",
        help="enlarge, denoise or complete one picture, without a trained model",
        description="Enlarge (--scale), complete (--mask) or denoise (neither) a picture by "
        "fitting a random network to it (Deep Image Prior, Ulyanov et al., 2018). It takes "
        "minutes, and stops by itself.",
        epilog="Examples: stylesr prior small.png large.png --scale 4; "
        "stylesr prior scratched.png whole.png --mask scratches.png",
        argument_default=argparse.SUPPRESS,
    )
    parser.set_defaults(command=_prior)
    parser.add_argument("picture", metavar="IN", help="a JPEG, PNG, WebP, TIFF or BMP file")
    parser.add_argument("output", metavar="OUT", help="the result; its extension is its format")
    parser.add_argument("--scale", type=int, help="how many times larger, 1 to 8 (default: 1)")
    parser.add_argument(
        "--mask", metavar="FILE", help="a picture of the same size, white where IN is missing"
    )
    parser.add_argument("--steps", type=int, help="at most (default: 2000)")
    parser.add_argument(
        "--patience", type=int, help="steps without a gain after which it stops (default: 300)"
    )
    parser.add_argument(
        "--channels", type=int, help="of the network; the paper has 128 (default: 32)"
    )
    parser.add_argument("--seed", type=int, help="of weights and noise (default: 0)")
