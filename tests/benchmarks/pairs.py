"""How near a network trained by pix2pix comes to pictures of pairs that it has not seen.

    python -m tests.benchmarks.pairs runs/to-gouache/model --pairs pairs --held-out other-pairs \\
        --lpips squeezenet1_1-features.safetensors lpips-squeeze-v0.1.safetensors

Protocol. Each held-out pair is one file, the given picture on the left and the wanted one on the
right, as `train/translation.py` takes them. Beside what the network makes of the given, two
references are measured: the given picture itself, and the best that can be done colour by colour:
each colour of the given (16 steps a channel) becomes the mean of what is wanted in its place in the
pairs of the training; a colour that is not there becomes that of the nearest. `levels` is the mean
absolute difference from the wanted picture in levels of 255, RGB; LPIPS is SqueezeNet's. Pictures
are compared at 8 bits, with sides cut to what the network takes.
"""

import argparse
from collections.abc import Sequence
from statistics import fmean

import torch
from torch import Tensor

from stylesr.data.datasets import find_pictures
from stylesr.metrics import LPIPS
from stylesr.models import Generator
from stylesr.picture import eight_bits
from train.translation import Recipe, fitted, load_pair

STEPS = 16  # of a channel, in the table of colours


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table."""
    options = parse(arguments)
    recipe = Recipe(photos=[options.pairs], method="pix2pix", swap=options.swap, crop=1)
    table = Colours()
    for path in find_pictures(options.pairs):
        table.learn(*load_pair(path, recipe).split(3))
    model = Generator.from_pretrained(options.model).eval()
    lpips = LPIPS(*options.lpips) if options.lpips else None
    found: dict[str, list[list[float]]] = {}
    for path in find_pictures(options.held_out):
        pair = load_pair(path, recipe)[None].float() / 255
        given, wanted = (fitted(x, model) for x in pair.split(3, 1))
        with torch.inference_mode():
            made = eight_bits(model(given)[0].float().clamp(0, 1))[None]
        results = {
            "the given itself": given,
            "each colour's mean": table.apply(given),
            "the network": made,
        }
        for name, result in results.items():
            figures = [255 * float((result - wanted).abs().mean())]
            if lpips:
                figures.append(float(lpips(result, wanted)))
            found.setdefault(name, []).append(figures)
    print(f"| {len(found['the network'])} held-out pairs | levels |{' LPIPS |' * bool(lpips)}")
    print(f"|---|---:|{'---:|' * bool(lpips)}")
    for name, rows in found.items():
        levels, *other = (fmean(column) for column in zip(*rows, strict=True))
        print(f"| {name} | {levels:.1f} |{''.join(f' {value:.4f} |' for value in other)}")


class Colours:
    """What each colour becomes, in the mean."""

    def __init__(self) -> None:
        self.sums = torch.zeros(STEPS**3, 3, dtype=torch.float64)
        self.counts = torch.zeros(STEPS**3, dtype=torch.float64)

    def learn(self, given: Tensor, wanted: Tensor) -> None:
        """From two (3, H, W), uint8."""
        place = self.place(given.double() / 255)
        self.counts += torch.bincount(place, minlength=STEPS**3)
        self.sums.index_add_(0, place, wanted.flatten(1).T.double() / 255)

    def apply(self, given: Tensor) -> Tensor:
        """(1, 3, H, W) in [0, 1] to the same."""
        known = self.counts.nonzero()[:, 0]
        axis = torch.arange(STEPS, dtype=torch.float64)
        corners = torch.cartesian_prod(axis, axis, axis)
        nearest = known[torch.cdist(corners, corners[known]).argmin(1)]
        means = self.sums[nearest] / self.counts[nearest, None]
        result = means[self.place(given[0].double())].T.reshape(given[0].shape)
        return eight_bits(result.float())[None]

    @staticmethod
    def place(picture: Tensor) -> Tensor:
        """Which colour of the table each pixel has, (H·W,)."""
        red, green, blue = (picture * 255).long().flatten(1) * STEPS // 256
        return (red * STEPS + green) * STEPS + blue


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="what translation.py has trained by pix2pix")
    parser.add_argument("--pairs", required=True, help="those it was trained on")
    parser.add_argument("--held-out", required=True, help="others")
    parser.add_argument("--swap", action="store_true", help="the given is on the right")
    parser.add_argument("--lpips", nargs=2, metavar=("SQUEEZENET", "HEADS"), help="weights")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
