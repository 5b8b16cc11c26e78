"""Train `photo`: StyleSRNet for faithful super-resolution at ×1, ×2 and ×4.

    accelerate launch train/super_resolution.py --photos my-photos --out runs/photo

The same line runs on a laptop's CPU, on one GPU and on several. Stop it when you like and add
`--resume` to go on.
"""

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from stylesr import training
from stylesr.data.datasets import RandomCrops, find_pictures, gather, load_rgb
from stylesr.metrics import psnr_y
from stylesr.models import StyleSRNet
from stylesr.resample import downscale


@dataclass
class Recipe:
    """Values of a run; each is an option of the command."""

    photos: list[str]  # folders of sharp photos
    out: str = "runs/photo"
    halved_photos: list[str] = field(default_factory=list)  # soft ones, used at half their size
    validation: list[str] = field(default_factory=list)  # folders measured in between
    start: str = ""  # a model to go on from; otherwise a new one of this size:
    channels: int = 48
    blocks: int = 8
    tail_channels: list[int] = field(default_factory=lambda: [16, 4])
    noise_levels: int = 3
    steps: int = 20_000
    batch: int = 16
    crop: int = 192  # of the HR picture; the trunk sees a quarter of it
    lr: float = 1e-3
    warmup: int = 200
    cooldown: float = 0.4  # share of the steps over which the rate falls to zero
    frequency: float = 0.0  # weight of the loss on the Fourier amplitudes
    ema: float = 0.999
    seed: int = 0
    mixed_precision: str = "no"  # "bf16" where the processor has it: about twice as fast
    log_every: int = 100
    preview_photos: str = ""  # a folder; its first pictures are enlarged in between
    previews: int = 4
    preview_every: int = 2000
    save_every: int = 1000
    patience: int = 0  # stop after so many previews without a gain; 0 = never
    resume: bool = False


FACTORS = {4: 8, 2: 7, 1: 1}  # shares of each batch; at ×1 `photo` only has to copy


def main(recipe: Recipe) -> None:
    """Run the recipe; writes `out/model` (the averaged weights), losses, previews, checkpoints."""
    # -- model, data, optimiser ---------------------------------------------------------------
    accelerator = Accelerator(
        mixed_precision=recipe.mixed_precision, log_with="tensorboard", project_dir=recipe.out
    )
    out = Path(recipe.out)
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    if recipe.start:
        model = StyleSRNet.from_pretrained(recipe.start).train()
    else:
        model = StyleSRNet(
            recipe.channels, recipe.blocks, recipe.tail_channels, recipe.noise_levels
        )
    if recipe.noise_levels:
        model.noise.weight.requires_grad_(False)  # `photo` does not see the noise: it stays zero
    model = model.to(accelerator.device, memory_format=torch.channels_last)
    enlarger = training.EveryFactor(model)
    ema = training.average(model, recipe.ema)
    optimizer = torch.optim.Adam(
        [p for p in model.parameters() if p.requires_grad], lr=recipe.lr, betas=(0.9, 0.99)
    )
    scheduler = training.schedule(optimizer, recipe.steps, recipe.warmup, recipe.cooldown)
    done = 0
    if recipe.resume:
        state = training.load_checkpoint(out / "checkpoints", accelerator.device)
        model.load_state_dict(state["model"])
        ema.load_state_dict(state["ema"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        done = state["step"]

    pictures = gather(recipe.photos, recipe.halved_photos, at_least=recipe.crop)
    items = recipe.batch * accelerator.num_processes
    crops = RandomCrops(pictures, recipe.crop, recipe.steps * items, recipe.seed)
    loader = DataLoader(Subset(crops, range(done * items, len(crops))), recipe.batch)
    enlarger, optimizer, loader = accelerator.prepare(enlarger, optimizer, loader)
    accelerator.init_trackers("super-resolution")

    # -- loop -----------------------------------------------------------------------------------
    stop = training.EarlyStop(recipe.patience)
    rows: list[dict[str, Tensor]] = []
    bar = tqdm(loader, initial=done, total=recipe.steps, disable=not accelerator.is_main_process)
    started = time.monotonic()
    for step, hr in enumerate(bar, start=done + 1):
        hrs = training.share_out(hr, FACTORS)
        inputs = [(scale, quantise(downscale(part, scale))) for scale, part in hrs.items()]
        with accelerator.autocast():
            outputs = enlarger(inputs)
        sr = torch.cat(outputs).float()
        losses = {"l1": (sr - hr).abs().mean()}
        if recipe.frequency:
            losses["frequency"] = recipe.frequency * frequency_loss(sr, hr)
        loss = torch.stack(list(losses.values())).sum()
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(enlarger.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        ema.update_parameters(model)

        # -- log, look, save ----------------------------------------------------------------------
        rows.append(losses)
        last = step == recipe.steps
        if not accelerator.is_main_process:
            continue
        if step % recipe.log_every == 0 or last:
            row = {"step": step, **training.means(rows), "lr": scheduler.get_last_lr()[0]}
            row["minutes"] = (time.monotonic() - started) / 60
            training.write_row(out / "losses.csv", row)
            accelerator.log(row, step=step)
            bar.set_postfix(l1=f"{row['l1']:.4f}")
            rows.clear()
        if step % recipe.save_every == 0 or last:
            state = {
                "model": model.state_dict(),
                "ema": ema.state_dict(),
                "optimizer": optimizer.state_dict(),
                "scheduler": scheduler.state_dict(),
            }
            training.save_checkpoint(out / "checkpoints", step, state)
            ema.module.save_pretrained(out / "model")
            training.plot_losses(out / "losses.csv", out / "losses.png")
        if (recipe.preview_every and step % recipe.preview_every == 0) or last:
            figures = validate(ema.module, recipe.validation)
            tqdm.write(f"step {step} " + " ".join(f"{k} {v:.3f}" for k, v in figures.items()))
            accelerator.log(figures, step=step)
            if recipe.preview_photos:
                paths = find_pictures(recipe.preview_photos)[: recipe.previews]
                training.preview(out, step, ema.module, {}, paths)
            if figures and stop(sum(figures.values())):
                break
    accelerator.end_training()


def quantise(picture: Tensor) -> Tensor:
    """Round to 8 bits: what a real low-resolution file holds."""
    return (picture.clamp(0, 1) * 255).round() / 255


def frequency_loss(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of the Fourier coefficients."""
    return (torch.fft.rfft2(a, norm="ortho") - torch.fft.rfft2(b, norm="ortho")).abs().mean()


@torch.inference_mode()
def validate(model: torch.nn.Module, folders: list[str]) -> dict[str, float]:
    """PSNR-Y in dB at ×2 and ×4 for each folder of HR pictures."""
    device = next(model.parameters()).device
    figures = {}
    for folder in folders:
        for scale in (2, 4):
            values = []
            for path in find_pictures(folder):
                hr = load_rgb(path)[None].to(device).float() / 255
                # the trunk is a quarter of the output: HR sides are cut to multiples of four
                height, width = (side // 4 * 4 for side in hr.shape[-2:])
                hr = hr[..., :height, :width].contiguous(memory_format=torch.channels_last)
                sr = model(quantise(downscale(hr, scale)), scale=scale)
                values.append(psnr_y(sr, hr, scale))
            figures[f"{Path(folder).name}_x{scale}"] = sum(values) / len(values)
    return figures


def parse() -> Recipe:
    """Read the command line; options and defaults come from `Recipe`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    training.add_options(parser, Recipe)
    return Recipe(**vars(parser.parse_args()))


if __name__ == "__main__":
    main(parse())
