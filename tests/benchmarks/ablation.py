"""What each part of the style recipe is good for: it is trained again without that part.

    python -m tests.benchmarks.ablation work.jpg --photos photos --held-out held-out \\
        --perceptual vgg19-distilled-16x.safetensors --squeezenet squeezenet1_1-features.safetensors

Protocol. Every variant has the same steps, crops and seed and the recipe's defaults, but is trained
at full strength only (`--line 0`), as a network of another shape has no strengths. Measured on
held-out photos reduced by 4 (antialiased bicubic, 8 bits) and painted at ×4, seed 0: distances of
stylesr.likeness from the work, of all paintings together, and from the photo; `grid`, the lattice
and phase losses (0 for a picture); `moved`, the mean absolute difference, in levels of 255, of two
paintings of which one's photo was moved by 2 rows and 1 column, with noise of 1.5 levels. The sheet
shows the middle of the first photos, a column for each variant.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import cast
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stylesr.data.datasets import find_pictures, load_rgb
from stylesr.likeness import (
    WORK_SIZE,
    Grams,
    Judge,
    SqueezeJudge,
    VggJudge,
    style_distance,
    together,
)
from stylesr.losses.perceptual import consistency_loss, lattice_loss, phase_loss
from stylesr.models import StyleSRNet
from stylesr.picture import Picture, to_pil
from stylesr.previews import grid
from stylesr.resample import downscale
from train import style
from train.style import Recipe, new_style

SCALE, MOVE, GRAIN, SHOWN = 4, (2, 1), 1.5 / 255, 512

Maker = Callable[[StyleSRNet, Recipe], StyleSRNet]


class DirectTail(StyleSRNet):
    """StyleSRNet whose tail is one convolution and one pixel shuffle by four."""

    def __init__(
        self,
        channels: int,
        blocks: int,
        tail_channels: Sequence[int],
        noise_levels: int,
        base: str,
        base_sha256: str,
    ) -> None:
        super().__init__(channels, blocks, tail_channels, noise_levels, base, base_sha256)
        del self.up1, self.up2, self.last
        self.direct = nn.Conv2d(channels, 3 * 4**2, 3, padding=1)
        nn.init.zeros_(self.direct.weight)

    def _tail(self, features: Tensor) -> Tensor:
        return F.pixel_shuffle(cast(Tensor, self.direct(features)), 4)


def with_direct_tail(base: StyleSRNet, recipe: Recipe) -> StyleSRNet:
    """The recipe's network with the other tail; the trunk is the base's."""
    full = new_style(base, recipe)
    model = DirectTail(**full.config)
    model.load_state_dict(full.state_dict(), strict=False)
    return model


def without_noise(base: StyleSRNet, recipe: Recipe) -> StyleSRNet:
    """The recipe's network, blind to the noise."""
    model = new_style(base, recipe)
    nn.init.zeros_(model.noise.weight).requires_grad_(False)
    return model


def from_nothing(base: StyleSRNet, recipe: Recipe) -> StyleSRNet:
    """A network that has learnt nothing: it enlarges bicubically."""
    config = new_style(base, recipe).config
    model = StyleSRNet(**config)
    nn.init.constant_(model.skip_gain, recipe.gain)
    return model


VARIANTS: dict[str, tuple[Maker, dict[str, float | str]]] = {
    "from a finished style": (new_style, {}),
    "from photo": (new_style, {"init": ""}),
    "from photo, not adversarial": (new_style, {"init": "", "adversarial": 0}),
    "from photo, without noise": (without_noise, {"init": ""}),
    "from photo, direct tail": (with_direct_tail, {"init": ""}),
    "from nothing": (from_nothing, {"init": ""}),
    "not asked to be steady": (new_style, {"steady": 0}),
    "without R1": (new_style, {"r1": 0}),
    "each picture by itself": (new_style, {"pooled": 0}),
    "colours free": (new_style, {"recolor": 0}),
    "weaves allowed": (new_style, {"weave": 0, "soften": 0}),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train every variant that is not there yet, measure all, print the table, draw the sheet."""
    options = parse(arguments)
    out = Path(options.out)
    judges: list[Judge] = [VggJudge(options.perceptual), SqueezeJudge(options.squeezenet)]
    photos = find_pictures(options.held_out)[: options.limit]
    work = load_rgb(options.work, at_most=WORK_SIZE).float() / 255
    lines, columns = [], []
    for name in options.only or VARIANTS:
        folder = out / name.replace(",", "").replace(" ", "-")
        net = trained(name, folder, options)
        lines.append([name, *(f"{figure:.3f}" for figure in measure(net, photos, work, judges))])
        columns.append([paint(net, photo)[0] for photo in photos[: options.rows]])
    heads = ["", *(f"{judge.name}: {what}" for judge in judges for what in ("style", "content"))]
    rows = [[*heads, "grid", "moved"], ["---"] + ["---:"] * (len(heads) + 1), *lines]
    print(f"{Path(options.work).name}: {options.steps} steps, {len(photos)} photos.\n")
    print("".join(f"| {' | '.join(row)} |\n" for row in rows))
    cells = [[to_pil(Picture(middle(cell))) for cell in row] for row in zip(*columns, strict=True)]
    grid(cells, [line[0] for line in lines]).save(out / "sheet.png")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", help="picture to train the style from")
    parser.add_argument("--photos", nargs="+", required=True, help="folders of training photos")
    parser.add_argument("--held-out", required=True, help="folder of photos to measure on")
    parser.add_argument("--perceptual", required=True, help="weights of the distilled VGG-19")
    parser.add_argument("--squeezenet", required=True, help="weights of SqueezeNet's features")
    parser.add_argument("--base", default="photo", help="the photo model (photo)")
    parser.add_argument("--init", default="starry-night", help="the finished style (starry-night)")
    parser.add_argument("--steps", type=int, default=400, help="of each variant (400)")
    parser.add_argument("--crop", type=int, default=256, help="side of a training crop (256)")
    parser.add_argument("--mixed-precision", default="no", choices=("no", "bf16"))
    parser.add_argument("--only", nargs="+", choices=VARIANTS, help="these variants")
    parser.add_argument("--limit", type=int, help="the first so many held-out photos only")
    parser.add_argument("--rows", type=int, default=3, help="photos on the sheet (3)")
    parser.add_argument("--out", default="runs/ablation", help="folder (runs/ablation)")
    return parser.parse_args(arguments)


def trained(name: str, folder: Path, options: argparse.Namespace) -> StyleSRNet:
    """The variant's network; trained now where its folder holds none."""
    maker, changes = VARIANTS[name]
    values = {
        "style_image": [options.work],
        "photos": options.photos,
        "out": str(folder),
        "base": options.base,
        "init": options.init,
        "perceptual": options.perceptual,
        "steps": options.steps,
        "crop": options.crop,
        "mixed_precision": options.mixed_precision,
        "line": 0.0,
        **changes,
    }
    if not (folder / "model").exists():
        with mock.patch.object(style, "new_style", maker):
            style.main(Recipe(**values))
    kind = DirectTail if maker is with_direct_tail else StyleSRNet
    return kind.from_pretrained(folder / "model")


@torch.inference_mode()
def paint(net: StyleSRNet, path: Path, move: tuple[int, int] = (0, 0)) -> tuple[Tensor, Tensor]:
    """The painting of a photo, moved and noisy where `move` is not zero, and the photo itself."""
    photo = load_rgb(path)[None].float() / 255
    height, width = (side // 16 * 16 for side in photo.shape[-2:])
    photo = photo[..., :height, :width]
    lr = downscale(photo.roll(move, (2, 3)), SCALE)
    if any(move):
        lr += GRAIN * torch.randn(lr.shape, generator=torch.Generator().manual_seed(0))
    lr = (lr.clamp(0, 1) * 255).round() / 255
    return net(lr.contiguous(memory_format=torch.channels_last), SCALE)[0].clamp(0, 1), photo[0]


@torch.inference_mode()
def measure(
    net: StyleSRNet, photos: Sequence[Path], work: Tensor, judges: Sequence[Judge]
) -> list[float]:
    """For each judge the style of all together and the mean content; mean grid and move."""
    statistics: list[list[Grams]] = [[] for _ in judges]
    contents: list[list[float]] = [[] for _ in judges]
    grids, moves = [], []
    for path in photos:
        painted, photo = paint(net, path)
        for judge, found, kept in zip(judges, statistics, contents, strict=True):
            seen = judge.look(painted)
            found.append(judge.statistics(seen))
            kept.append(judge.content(seen, judge.look(photo)))
        grids.append(float(lattice_loss(painted[None]) + phase_loss(painted[None])))
        moved, _ = paint(net, path, MOVE)
        moves.append(255 * float(consistency_loss(painted[None], moved[None], *MOVE)))
    figures = []
    for judge, found, kept in zip(judges, statistics, contents, strict=True):
        goal = judge.statistics(judge.look(work))
        figures += [style_distance(together(found), goal), fmean(kept)]
    return [*figures, fmean(grids), fmean(moves)]


def middle(picture: Tensor) -> Tensor:
    """The middle of (3, H, W), at most `SHOWN` pixels a side."""
    top, left = (max(0, (side - SHOWN) // 2) for side in picture.shape[1:])
    return picture[:, top : top + SHOWN, left : left + SHOWN]


if __name__ == "__main__":
    main()
