"""Train `photo`: StyleSRNet for faithful super-resolution at ×1, ×2 and ×4.

    python train/super_resolution.py --photos my-photos --out runs/photo

Or, from it, a model that restores bad pictures and draws what they lack, and blends with `photo`:
`--base photo --degradation blind --clean 0.4 --perceptual-weight 1 --spectrum 0.5
--adversarial 0.02`. Or another network of the field: `--network srcnn --config scale=4`.

The line runs on a laptop's CPU and on a GPU; with `accelerate launch` in place of `python` on
several. Stop it with Ctrl-C when you like and add `--resume` to go on. See train/README.md.
"""

import json
import math
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from stylesr import training
from stylesr.data import degradations
from stylesr.data.datasets import RandomCrops, find_pictures, gather, load_rgb
from stylesr.data.degradations import Pairs, collate, quantise
from stylesr.errors import InputError
from stylesr.losses.adversarial import GAN_LOSSES, gradient_penalty, r1_penalty
from stylesr.losses.perceptual import (
    DistilledVGG19,
    feature_loss,
    lattice_loss,
    phase_loss,
    spectrum_loss,
)
from stylesr.losses.pixel import PIXEL_LOSSES
from stylesr.metrics import psnr_y
from stylesr.models import (
    ESPCN,
    SPAN,
    SRCNN,
    VDSR,
    CompactNet,
    Generator,
    RRDBNet,
    SRResNet,
    StyleSRNet,
    TransformerSRNet,
)
from stylesr.models.discriminators import UNetDiscriminator, VGGDiscriminator
from stylesr.models.wrappers import EveryFactor
from stylesr.resample import downscale


@dataclass
class Recipe:
    """Values of a run; each is an option of the command."""

    photos: list[str]  # folders of sharp photos
    out: str = "runs/photo"
    halved_photos: list[str] = field(default_factory=list)  # soft ones, used at half their size
    validation: list[str] = field(default_factory=list)  # folders measured in between
    network: Literal[
        "stylesr", "srcnn", "espcn", "vdsr", "transformer", "srresnet", "rrdbnet", "compact", "span"
    ] = "stylesr"
    config: list[str] = field(default_factory=list)  # of another one, such as scale=2 channels=32
    base: str = ""  # a model from which this one starts and with which it blends
    init: str = ""  # a model to go on from; without it and a base, a new one of this size:
    channels: int = 48
    blocks: int = 6
    tail_channels: list[int] = field(default_factory=lambda: [24, 8])
    noise_levels: int = 3
    steps: int = 20_000
    batch: int = 16
    crop: int = 192  # of the HR picture; the trunk sees a quarter of it
    lr: float = 1e-3
    warmup: int = 200
    cooldown: float = 0.4  # share of the steps over which the rate falls to zero
    pixel: Literal["l1", "l2", "charbonnier", "ssim"] = "l1"  # "l2" also for a last leg
    pixel_weight: float = 1.0
    frequency: float = 0.0  # weight of the loss on the Fourier amplitudes
    degradation: Literal["bicubic", "mild", "blind"] = "bicubic"  # how inputs are made from photos
    clean: float = 0.2  # share of the inputs that stay bicubic beside degraded ones
    perceptual_weight: float = 0.0  # of the difference of features
    perceptual: str = ""  # the perceptual network; fetched once when left out
    lattice: float = 0.0  # against grids and dots, which perceptual losses like to see
    spectrum: float = 0.0  # against weaves: power that the photo has not at any frequency
    adversarial: float = 0.0  # weight of the discriminator's opinion
    gan_loss: Literal["vanilla", "least-squares", "hinge", "wasserstein", "relativistic"] = "hinge"
    discriminator: Literal["unet", "vgg"] = "unet"  # scores each pixel, or the picture
    critic: int = 24  # its width
    critic_lr: float = 4e-4
    r1: float = 0.0  # weight of the penalty on its slope at photos
    gradient_penalty: float = 0.0  # weight of WGAN-GP's on its slope between photos and results
    weight_decay: float = 0.0  # L2: pulls all weights towards zero, against knowing few photos
    weight_l1: float = 0.0  # weight of the sum of their absolute values, which makes many zero
    ema: float = 0.999
    seed: int = 0
    mixed_precision: Literal["no", "bf16"] = "no"  # "bf16" where the processor has it
    workers: int = 0  # processes that cut crops beside the training, for a GPU
    log_every: int = 100
    preview_photos: str = ""  # a folder; its first pictures are enlarged in between
    previews: int = 4
    preview_every: int = 2000
    save_every: int = 1000
    patience: int = 0  # stop after so many measurements without a gain; 0 = never
    resume: bool = False


NETWORKS: dict[str, type[Generator]] = {
    "stylesr": StyleSRNet,
    "srcnn": SRCNN,
    "espcn": ESPCN,
    "vdsr": VDSR,
    "transformer": TransformerSRNet,
    "srresnet": SRResNet,
    "rrdbnet": RRDBNet,
    "compact": CompactNet,
    "span": SPAN,
}
DISCRIMINATORS = {"unet": UNetDiscriminator, "vgg": VGGDiscriminator}
FACTORS = {4: 8, 2: 7, 1: 1}  # shares of each batch; at ×1 `photo` only has to copy
STRIDE = 8  # pixels, of the discriminator and of most of the perceptual network
RESTORED_FACTORS = {4: 2, 2: 1, 1: 1}  # where inputs are bad, ×1 has work to do as well
RANGES = {"bicubic": None, "mild": degradations.MILD, "blind": degradations.REAL_ESRGAN}
# as in Real-ESRGAN, after the first convolution of a block in place of its last
FEATURE_LAYERS = {"relu1_1": 0.1, "relu2_1": 0.1, "relu3_1": 1.0, "relu4_1": 1.0, "relu5_1": 1.0}


def main(recipe: Recipe) -> None:
    """Run the recipe; writes `out/model` (the averaged weights), losses, previews, checkpoints."""
    # -- models, optimisers, data -------------------------------------------------------------
    check(recipe)
    out = Path(recipe.out)
    accelerator = Accelerator(
        mixed_precision=recipe.mixed_precision, log_with="tensorboard", project_dir=out
    )
    device = accelerator.device
    torch.manual_seed(recipe.seed)
    base = None
    if recipe.base:
        base = StyleSRNet.from_pretrained(recipe.base, map_location=device)
    model = new_model(recipe, base).to(device, memory_format=torch.channels_last)
    enlarger = EveryFactor(model)
    ema = training.average(model, recipe.ema)
    optimizer = torch.optim.Adam(
        [p for p in model.parameters() if p.requires_grad],
        lr=recipe.lr,
        betas=(0.9, 0.99),
        weight_decay=recipe.weight_decay,
    )
    scheduler = training.schedule(optimizer, recipe.steps, recipe.warmup, recipe.cooldown)
    stop = training.EarlyStop(recipe.patience)
    parts: dict[str, Any] = {
        "model": model,
        "ema": ema,
        "optimizer": optimizer,
        "scheduler": scheduler,
        "stop": stop,
    }
    vgg = critic = None
    if recipe.perceptual_weight:
        with accelerator.local_main_process_first():  # one process fetches what is not there yet
            vgg = DistilledVGG19.load(recipe.perceptual or None).to(device)
    if recipe.adversarial:
        critic = DISCRIMINATORS[recipe.discriminator](recipe.critic)
        critic.to(device, memory_format=torch.channels_last)
        d_optimizer = torch.optim.Adam(critic.parameters(), lr=recipe.critic_lr, betas=(0.5, 0.99))
        parts |= {"critic": critic, "d_optimizer": d_optimizer}
    done = 0
    if recipe.resume:
        state = training.load_checkpoint(out / "checkpoints")
        done = training.restore(parts, state, recipe.steps)

    pictures = gather(recipe.photos, recipe.halved_photos, at_least=recipe.crop)
    items = recipe.batch * accelerator.num_processes
    crops = RandomCrops(pictures, recipe.crop, recipe.steps * items, recipe.seed)
    ranges = RANGES[recipe.degradation]
    shares = RESTORED_FACTORS if ranges else FACTORS
    if recipe.network != "stylesr":
        shares = dict.fromkeys(reversed(model.scales), 1)
    factors = factors_of_a_batch(recipe.batch, shares)
    pairs = Pairs(crops, factors, ranges, recipe.clean, recipe.seed)
    rest = Subset(pairs, range(done * items, len(pairs)))
    loader = DataLoader(rest, recipe.batch, num_workers=recipe.workers, collate_fn=collate)
    enlarger, optimizer, loader = accelerator.prepare(enlarger, optimizer, loader)
    if critic:
        critic, d_optimizer = accelerator.prepare(critic, d_optimizer)
    minutes, shown = 0.0, []
    if accelerator.is_main_process:
        minutes = training.begin(recipe, done, accelerator.num_processes)
        if recipe.preview_photos:
            shown = training.preview_photos(recipe.preview_photos, recipe.previews, out)
    accelerator.init_trackers("super-resolution")

    # -- loop -----------------------------------------------------------------------------------
    pixel_loss, gan = PIXEL_LOSSES[recipe.pixel], GAN_LOSSES[recipe.gan_loss]
    interrupt, g_finite, d_finite = training.Interrupt(), training.Finite(), training.Finite()
    rows: list[dict[str, Tensor]] = []
    bar = tqdm(loader, initial=done, total=recipe.steps, disable=not accelerator.is_main_process)
    started = time.monotonic() - 60 * minutes
    for step, (hr, inputs) in enumerate(bar, start=done + 1):
        shift = random.Random(f"{recipe.seed} {step}")  # the same in every process
        # -- generator ----------------------------------------------------------------------------
        with accelerator.autocast():
            sr = torch.cat(enlarger(inputs)).float()
        losses = {recipe.pixel: recipe.pixel_weight * pixel_loss(sr, hr)}
        if recipe.frequency:
            losses["frequency"] = recipe.frequency * frequency_loss(sr, hr)
        if recipe.lattice:
            pattern = lattice_loss(sr, visible=1.0) + phase_loss(sr)
            losses["lattice"] = recipe.lattice * pattern
        if recipe.spectrum:
            losses["spectrum"] = recipe.spectrum * spectrum_loss(sr, hr)
        if vgg or critic:  # not always on the same pixels: no pattern may hide in their strides
            down, right = (shift.randrange(STRIDE) for _ in range(2))
            sides = (-right, right - STRIDE, -down, down - STRIDE)
            sr, hr = F.pad(sr, sides), F.pad(hr, sides)  # crops
        if vgg:
            with accelerator.autocast():
                seen = vgg(sr)
                with torch.no_grad():
                    wanted = vgg(hr)
            distance = feature_loss(seen, wanted, FEATURE_LAYERS)
            losses["perceptual"] = recipe.perceptual_weight * distance
        if critic:
            critic.requires_grad_(False)
            with accelerator.autocast():
                opinions = [critic(x).float() for x in ([sr, hr] if gan.relative else [sr])]
            losses["adversarial"] = recipe.adversarial * gan.generator(*opinions)
        if recipe.weight_l1:
            sizes = [p.abs().sum() for p in model.parameters() if p.requires_grad]
            losses["weights"] = recipe.weight_l1 * torch.stack(sizes).sum()
        loss = torch.stack(list(losses.values())).sum()
        accelerator.backward(loss)
        sound = g_finite(accelerator.clip_grad_norm_(enlarger.parameters(), 1.0))
        if sound:
            optimizer.step()
            ema.update_parameters(model)
        optimizer.zero_grad()
        scheduler.step()

        # -- discriminator: photos against what the generator made of them ------------------------
        if critic:
            critic.requires_grad_(True)
            with accelerator.autocast():
                scores = critic(torch.cat([hr, sr.detach()])).float()
            d_loss = gan.discriminator(*scores.chunk(2))
            losses["discriminator"] = d_loss
            if recipe.r1:
                hr.requires_grad_()
                losses["r1"] = recipe.r1 * r1_penalty(critic(hr), hr)
                d_loss = d_loss + losses["r1"]
            if recipe.gradient_penalty:
                generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
                mix = torch.rand(len(hr), generator=generator).to(device)
                penalty = gradient_penalty(critic, hr, sr.detach(), mix)
                losses["gradient_penalty"] = recipe.gradient_penalty * penalty
                d_loss = d_loss + losses["gradient_penalty"]
            accelerator.backward(d_loss)
            d_sound = d_finite(accelerator.clip_grad_norm_(critic.parameters(), float("inf")))
            if d_sound:
                d_optimizer.step()
            d_optimizer.zero_grad()
            sound = sound and d_sound
        if sound:
            rows.append({name: value.detach() for name, value in losses.items()})

        # -- look ---------------------------------------------------------------------------------
        last = step == recipe.steps
        if accelerator.is_main_process and (last or step % recipe.preview_every == 0):
            if shown:
                styles = {"restored": ema.module} if base else {}
                training.preview(out, step, base or ema.module, styles, shown)
            if recipe.validation:
                figures = validate(ema.module, recipe.validation)
                tqdm.write(f"step {step} " + " ".join(f"{k} {v:.3f}" for k, v in figures.items()))
                training.write_row(out / "figures.csv", {"step": step, **figures})
                accelerator.log(figures, step=step)
                if stop(sum(figures.values())):
                    accelerator.set_trigger()
                if stop.since == 0:
                    ema.module.save_pretrained(out / "best")

        # -- log, save, stop ----------------------------------------------------------------------
        if interrupt.noted:
            accelerator.set_trigger()
        stopping = accelerator.check_trigger()  # what one process says holds for all
        last = last or stopping
        if accelerator.is_main_process and rows and (last or step % recipe.log_every == 0):
            row = {"step": step, **training.means(rows), "lr": scheduler.get_last_lr()[0]}
            row["minutes"] = (time.monotonic() - started) / 60
            training.write_row(out / "losses.csv", row)
            accelerator.log(row, step=step)
            bar.set_postfix({recipe.pixel: f"{row[recipe.pixel]:.5f}"})
        if step % recipe.log_every == 0:
            rows.clear()
        if accelerator.is_main_process and (last or step % recipe.save_every == 0):
            state = {name: part.state_dict() for name, part in parts.items()}
            training.save_checkpoint(out / "checkpoints", step, state)
            ema.module.save_pretrained(out / "model")
            training.plot_tables(out)
        if stopping:
            break
    accelerator.wait_for_everyone()  # a process group that is closed at work may never close,
    enlarger, critic = accelerator.free_memory(enlarger, critic)  # nor one that a model still holds
    accelerator.end_training()
    if interrupt.noted:
        raise KeyboardInterrupt


def check(recipe: Recipe) -> None:
    """Refuse what cannot work before any work is done."""
    judged = bool(recipe.perceptual_weight or recipe.adversarial)
    names = ("pixel_weight", "perceptual_weight", "lattice", "spectrum", "adversarial", "r1")
    crop = 32 + STRIDE if judged else 28 if recipe.lattice else 16
    names += ("gradient_penalty", "weight_decay", "weight_l1")
    least = {**dict.fromkeys(names, 0), "critic": 1, "crop": crop}
    training.check_run(recipe, batch=len(FACTORS) if recipe.network == "stylesr" else 1, **least)
    multiple = 8 if recipe.adversarial else 4
    if recipe.crop % multiple:
        raise InputError(f"--crop must be a multiple of {multiple}, got {recipe.crop}")
    if not 0 <= recipe.clean <= 1:
        raise InputError(f"--clean is a share from 0 to 1, got {recipe.clean}")
    if recipe.patience and not recipe.validation:
        raise InputError("--patience needs --validation, a folder of photos to measure")
    if recipe.patience and judged:
        raise InputError(
            "--patience watches PSNR, which a perceptual or adversarial loss lowers; leave it out"
        )
    if (recipe.r1 or recipe.gradient_penalty) and not recipe.adversarial:
        raise InputError("--r1 and --gradient-penalty are of a discriminator: add --adversarial")
    if recipe.network == "stylesr" and recipe.config:
        raise InputError(
            "--config is of the other networks, such as --network srcnn --config scale=4; "
            "stylesr has --channels, --blocks, --tail-channels and --noise-levels"
        )
    if recipe.network != "stylesr" and recipe.base:
        raise InputError(f"--base is of stylesr: {recipe.network} cannot blend; give --init")
    for folder in (*recipe.halved_photos, *recipe.validation):
        find_pictures(folder)


def new_model(recipe: Recipe, base: StyleSRNet | None) -> Generator:
    """A new network, one to go on from, or one that blends with the base.

    StyleSRNet does not see the noise: those weights are zero and stay so.
    """
    if recipe.network != "stylesr":
        return new_enlarger(recipe)
    if base:
        model = training.descendant(base, recipe.base, recipe.init)
    elif recipe.init:
        model = StyleSRNet.from_pretrained(recipe.init).train()
        if model.base:
            raise InputError(f"{recipe.init} is a style of {model.base}; --init takes a photo")
    else:
        model = StyleSRNet(
            recipe.channels, recipe.blocks, recipe.tail_channels, recipe.noise_levels
        )
    if model.noise_levels:
        if model.paints:
            raise InputError(
                f"{recipe.init or recipe.base} paints with noise: it is no photo model"
            )
        model.noise.weight.requires_grad_(False)
    return model


def new_enlarger(recipe: Recipe) -> Generator:
    """A new network of the zoo, or one to go on from."""
    network = NETWORKS[recipe.network]
    if recipe.init:
        model = network.from_pretrained(recipe.init).train()
    else:
        try:
            pairs = [text.partition("=") for text in recipe.config]
            model = network(**{name: json.loads(value) for name, _, value in pairs})
        except (TypeError, ValueError) as error:
            raise InputError(f"--config {' '.join(recipe.config)}: {error}") from error
    multiple = math.lcm(4, *model.scales)
    if recipe.crop % multiple:
        raise InputError(f"--crop must be a multiple of {multiple}, got {recipe.crop}")
    if 3 in model.scales and recipe.degradation != "bicubic":
        raise InputError(f"--degradation {recipe.degradation} is for factors 2 and 4, not for 3")
    return model


def factors_of_a_batch(batch: int, shares: dict[int, int]) -> list[int]:
    """The factor of each item, such as [4, 4, 2, 1]."""
    parts = training.share_out(torch.arange(batch), shares)
    return [factor for factor, part in parts.items() for _ in part]


def frequency_loss(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of the Fourier coefficients."""
    return (torch.fft.rfft2(a, norm="ortho") - torch.fft.rfft2(b, norm="ortho")).abs().mean()


@torch.inference_mode()
def validate(model: Generator, folders: list[str]) -> dict[str, float]:
    """PSNR-Y in dB at each factor above 1 for each folder of HR pictures."""
    figures = {}
    multiple = math.lcm(4, *model.scales)  # HR sides are cut to these; StyleSRNet's need fours
    for folder in folders:
        for scale in (s for s in model.scales if s > 1):
            values = []
            for path in find_pictures(folder):
                hr = load_rgb(path)[None].to(model.device).float() / 255
                height, width = (side // multiple * multiple for side in hr.shape[-2:])
                hr = hr[..., :height, :width].contiguous(memory_format=torch.channels_last)
                sr = model(quantise(downscale(hr, scale)), scale=scale)
                values.append(psnr_y(sr, hr, scale))
            figures[f"{Path(folder).name}_x{scale}"] = sum(values) / len(values)
    return figures


if __name__ == "__main__":
    sys.exit(training.run(main, Recipe, __doc__))
