"""The field's networks at one size, trained alike: what each way to connect layers gives.

    python -m tests.benchmarks.equal_size photos Set5 --lpips squeezenet1_1-features.safetensors \\
        lpips-squeeze-v0.1.safetensors

Protocol. Networks of about 160,000 parameters learn ×4 on pixels alone (L1): equal steps, crops,
seed and rate (1e-3, falling to zero over the last 40 %). Measured on the averaged weights, HR cut
to multiples of 4, LR by antialiased bicubic reduction (MATLAB convention) and 8 bits: PSNR in dB on
BT.601 luma, 4 pixels cut off each side; LPIPS (SqueezeNet) on RGB. Multiply-adds are those of all
convolutions for 1280×720 pixels of output.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from stylesr.data.datasets import find_pictures
from stylesr.metrics import LPIPS
from stylesr.models import Generator
from stylesr.speed import multiply_adds
from tests.benchmarks.gan_losses import SCALE, enlarged, row
from train import super_resolution
from train.super_resolution import Recipe

NETWORKS = {
    "SRResNet": ("srresnet", ["channels=28", "blocks=6"]),
    "RRDBNet": ("rrdbnet", ["channels=24", "blocks=2", "growth=8"]),
    "CompactNet": ("compact", ["channels=32", "convolutions=16"]),
    "SPAN": ("span", ["channels=28", "centred=false"]),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is not there yet, measure all, print the table."""
    options = parse(arguments)
    pictures = find_pictures(options.held_out)
    lpips = LPIPS(*options.lpips) if options.lpips else None
    rows = []
    for name in NETWORKS:
        folder = Path(options.out) / name
        train(name, folder, options)
        results, hr = enlarged(folder, pictures)
        net = Generator.from_pretrained(folder / "model")
        size = sum(parameter.numel() for parameter in net.parameters())
        cost = [f"{size / 1000:.0f} K", f"{multiply_adds(net, SCALE) / 1e9:.1f}"]
        rows.append(row(name, results, hr, lpips, cost))
    print(f"\n{options.steps:,} steps of {options.batch} crops of {options.crop}².\n")
    print("| | PSNR-Y | LPIPS | parameters | G mult-adds |")
    print("| --- | ---: | ---: | ---: | ---: |", *rows, sep="\n")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", help="folder of training photos")
    parser.add_argument("held_out", help="folder of pictures to measure on, such as Set5")
    parser.add_argument("--lpips", nargs=2, metavar=("FEATURES", "HEADS"), help="weights of LPIPS")
    parser.add_argument("--steps", type=int, default=800, help="of each network (800)")
    parser.add_argument("--crop", type=int, default=96, help="side of a training crop (96)")
    parser.add_argument("--batch", type=int, default=8, help="crops of a step (8)")
    parser.add_argument("--mixed-precision", default="no", choices=("no", "bf16"))
    parser.add_argument("--out", default="runs/equal-size", help="folder (runs/equal-size)")
    return parser.parse_args(arguments)


def train(name: str, folder: Path, options: argparse.Namespace) -> None:
    """By train/super_resolution.py, where the folder holds no model."""
    if (folder / "model").exists():
        return
    network, config = NETWORKS[name]
    recipe = Recipe(
        photos=[options.photos],
        out=str(folder),
        network=network,  # type: ignore[arg-type]
        config=[*config, f"scale={SCALE}"],
        steps=options.steps,
        batch=options.batch,
        crop=options.crop,
        ema=0.99,
        mixed_precision=options.mixed_precision,
        log_every=max(1, options.steps // 20),
        save_every=options.steps,
    )
    super_resolution.main(recipe)


if __name__ == "__main__":
    main()
