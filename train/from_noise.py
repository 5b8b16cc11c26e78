"""Train a GAN from the beginning: pictures out of noise (DCGAN). A tutorial that runs.

    python train/from_noise.py --photos my-photos --out runs/patches

Two networks play against each other. The generator makes a small picture of a hundred random
numbers; the discriminator is shown patches of photos and what the generator made, and learns to
tell them apart; the generator learns to be taken for a photo. Neither ever sees what the other is
after in another way. Both steps are below, one after the other.

Stop it with Ctrl-C when you like and add `--resume` to go on. See train/README.md.
"""

import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from stylesr import training
from stylesr.data.datasets import RandomCrops, load_folder
from stylesr.losses.adversarial import GAN_LOSSES, jitter, r1_penalty
from stylesr.models import DCGAN
from stylesr.models.discriminators import NoiseDiscriminator
from stylesr.picture import Picture, to_pil


@dataclass
class Recipe:
    """Values of a run; each is an option of the command."""

    photos: list[str]  # folders of pictures, of which patches are cut
    out: str = "runs/from-noise"
    side: int = 512  # longest side to which larger pictures are reduced: less shows more in a patch
    size: int = 64  # of a patch: 16, 32, 64 or 128
    noise: int = 100  # random numbers for each picture
    channels: int = 32  # the paper's have 128
    critic: int = 32
    steps: int = 3000
    batch: int = 32
    lr: float = 2e-4
    critic_lr: float = 2e-4
    gan_loss: Literal["vanilla", "least-squares", "hinge", "wasserstein"] = "vanilla"
    r1: float = 0.0  # weight of the penalty on the discriminator's slope at photos
    ema: float = 0.99
    seed: int = 0
    mixed_precision: Literal["no", "bf16"] = "no"  # "bf16" where the processor has it
    workers: int = 0  # processes that cut patches beside the training, for a GPU
    log_every: int = 50
    preview_every: int = 500
    save_every: int = 500
    resume: bool = False


SHOWN = 64  # drawn at each preview, always of the same noise


def main(recipe: Recipe) -> None:
    """Run the recipe; writes `out/model` (the averaged weights), losses, previews, checkpoints."""
    # -- both networks, and what moves them -----------------------------------------------------
    training.check_run(recipe, batch=2, critic=1, r1=0, side=recipe.size)
    out = Path(recipe.out)
    accelerator = Accelerator(
        mixed_precision=recipe.mixed_precision, log_with="tensorboard", project_dir=out
    )
    torch.manual_seed(recipe.seed)
    model = DCGAN(recipe.noise, recipe.channels, recipe.size)
    critic = NoiseDiscriminator(recipe.critic, recipe.size)
    ema = training.average(model, recipe.ema)
    g_optimizer = torch.optim.Adam(model.parameters(), lr=recipe.lr, betas=(0.5, 0.999))
    d_optimizer = torch.optim.Adam(critic.parameters(), lr=recipe.critic_lr, betas=(0.5, 0.999))
    parts = {
        "model": model,
        "ema": ema,
        "critic": critic,
        "g_optimizer": g_optimizer,
        "d_optimizer": d_optimizer,
    }
    done = 0
    if recipe.resume:
        done = training.restore(parts, training.load_checkpoint(out / "checkpoints"), recipe.steps)

    # -- patches of photos ----------------------------------------------------------------------
    items = recipe.batch * accelerator.num_processes
    photos = [
        p for f in recipe.photos for p in load_folder(f, at_least=recipe.size, at_most=recipe.side)
    ]
    patches = RandomCrops(photos, recipe.size, recipe.steps * items, recipe.seed, upright=True)
    rest = Subset(patches, range(done * items, len(patches)))
    loader = DataLoader(rest, recipe.batch, num_workers=recipe.workers)
    generator, critic, g_optimizer, d_optimizer, loader = accelerator.prepare(
        model, critic, g_optimizer, d_optimizer, loader
    )
    ema.to(accelerator.device)
    minutes = 0.0
    if accelerator.is_main_process:
        minutes = training.begin(recipe, done, accelerator.num_processes)
        (out / "previews").mkdir(exist_ok=True)
        save_sheet(torch.stack([patches[i] for i in range(SHOWN)]), out / "previews" / "real.png")
    accelerator.init_trackers("from-noise")

    # -- loop -----------------------------------------------------------------------------------
    gan = GAN_LOSSES[recipe.gan_loss]
    interrupt, g_finite, d_finite = training.Interrupt(), training.Finite(), training.Finite()
    rows: list[dict[str, Tensor]] = []
    bar = tqdm(loader, initial=done, total=recipe.steps, disable=not accelerator.is_main_process)
    started = time.monotonic() - 60 * minutes
    for step, real in enumerate(bar, start=done + 1):
        rng = random.Random(f"{recipe.seed} {step} {accelerator.process_index}")
        numbers = torch.Generator().manual_seed(rng.getrandbits(63))
        noise = torch.randn(len(real), recipe.noise, generator=numbers).to(real.device)
        losses: dict[str, Tensor] = {}

        # -- the discriminator's step: photos up, made pictures down ------------------------------
        critic.requires_grad_(True)
        with accelerator.autocast():
            made = generator(noise).float()
            shown = jitter(real, rng).requires_grad_(bool(recipe.r1))
            scores = critic(torch.cat([shown, jitter(made.detach(), rng)])).float()
        real_scores, fake_scores = scores.chunk(2)
        losses["discriminator"] = gan.discriminator(real_scores, fake_scores)
        if recipe.r1:
            losses["r1"] = recipe.r1 * r1_penalty(real_scores, shown)
        accelerator.backward(torch.stack(list(losses.values())).sum())
        if d_finite(accelerator.clip_grad_norm_(critic.parameters(), float("inf"))):
            d_optimizer.step()
        d_optimizer.zero_grad()

        # -- the generator's step: made pictures up -----------------------------------------------
        critic.requires_grad_(False)
        with accelerator.autocast():
            score = critic(jitter(made, rng)).float()
        losses["generator"] = gan.generator(score)
        accelerator.backward(losses["generator"])
        if g_finite(accelerator.clip_grad_norm_(generator.parameters(), float("inf"))):
            g_optimizer.step()
            ema.update_parameters(model)
            rows.append({name: value.detach() for name, value in losses.items()})
        g_optimizer.zero_grad()

        # -- look ---------------------------------------------------------------------------------
        last = step == recipe.steps
        averaged: DCGAN = ema.module
        if accelerator.is_main_process and (last or step % recipe.preview_every == 0):
            with torch.inference_mode():
                drawn = averaged.eval().draw(SHOWN)
            save_sheet(drawn, out / "previews" / f"step-{step:07d}.png")
            figures = {"variety": variety(drawn) / variety(real)}
            training.write_row(out / "figures.csv", {"step": step, **figures})
            accelerator.log(figures, step=step)

        # -- log, save, stop ----------------------------------------------------------------------
        if interrupt.noted:
            accelerator.set_trigger()
        stopping = accelerator.check_trigger()  # what one process says holds for all
        last = last or stopping
        if accelerator.is_main_process and rows and (last or step % recipe.log_every == 0):
            row = {"step": step, **training.means(rows)}
            row["minutes"] = (time.monotonic() - started) / 60
            training.write_row(out / "losses.csv", row)
            accelerator.log(row, step=step)
        if step % recipe.log_every == 0:
            rows.clear()
        if accelerator.is_main_process and (last or step % recipe.save_every == 0):
            state = {name: part.state_dict() for name, part in parts.items()}
            training.save_checkpoint(out / "checkpoints", step, state)
            averaged.save_pretrained(out / "model")
            training.plot_tables(out)
        if stopping:
            break
    accelerator.wait_for_everyone()
    generator, critic = accelerator.free_memory(generator, critic)
    accelerator.end_training()
    if interrupt.noted:
        raise KeyboardInterrupt


def variety(pictures: Tensor) -> float:
    """How far pictures (N, 3, H, W) lie from each other on average: near 0 after a collapse."""
    return float(F.pdist(F.avg_pool2d(pictures, 4).flatten(1)).mean())


def save_sheet(pictures: Tensor, path: Path) -> None:
    """Save pictures (N, 3, H, W) side by side, eight a row."""
    padded = F.pad(pictures.float().cpu(), (0, 2, 0, 2), value=1.0)
    lines = [torch.cat(list(line), 2) for line in padded.split(8) if len(line) == 8]
    to_pil(Picture(torch.cat(lines, 1).clamp(0, 1).contiguous())).save(path)


if __name__ == "__main__":
    sys.exit(training.run(main, Recipe, __doc__))
