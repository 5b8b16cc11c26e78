"""Train a style: StyleSRNet learns to paint photos like one picture, starting from `photo`.

    accelerate launch train/style.py --style-image my-painting.jpg --photos my-photos \\
        --out runs/my-style

The same line runs on a laptop's CPU, on one GPU and on several. Stop it when you like and add
`--resume` to go on. No weight needs tuning for a new style: the style loss is relative.
"""

import argparse
import random
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from stylesr import training
from stylesr.data.datasets import RandomCrops, find_pictures, gather, load_rgb
from stylesr.errors import InputError
from stylesr.losses.adversarial import hinge_discriminator, hinge_generator
from stylesr.losses.perceptual import (
    DistilledVGG19,
    content_loss,
    edge_loss,
    lattice_loss,
    relative_gram_loss,
    tone_loss,
    total_variation,
)
from stylesr.models import StyleSRNet
from stylesr.models.discriminators import PatchDiscriminator
from stylesr.resample import downscale, resize


@dataclass
class Recipe:
    """Values of a run; each is an option of the command."""

    style_image: list[str]  # one picture, or several by the same hand
    photos: list[str]  # folders of photos to paint
    out: str = "runs/style"
    base: str = "photo"  # the model from which the style starts and with which it blends
    start: str = ""  # a trained style to go on from, otherwise the base
    perceptual: str = ""  # the perceptual network; fetched once when left out
    style_size: int = 1024  # longest side of the style picture: strokes keep that scale
    steps: int = 4000
    batch: int = 4
    crop: int = 256  # of the output; its margin is not judged
    margin: int = 16
    lr: float = 1e-3
    warmup: int = 100
    cooldown: float = 0.3
    gain: float = 0.4  # of the photo's own pixels at the start; the style learns how much to keep
    content: float = 1.5
    tone: float = 1.5  # weight of the light and dark of the photo, that keeps the scene readable
    style: float = 6.0
    ramp: float = 0.2  # share of the steps over which the style's weight grows from a fifth
    edge: float = 0.5
    tv: float = 0.3
    lattice: float = 10.0
    adversarial: float = 0.2
    line: float = 0.2  # share of the steps trained at a strength between 0 and 1
    ema: float = 0.99
    seed: int = 0
    mixed_precision: str = "no"  # "bf16" where the processor has it: about twice as fast
    log_every: int = 50
    preview_photos: str = ""  # a folder; its first pictures are painted in between
    previews: int = 4
    preview_every: int = 500
    save_every: int = 250
    patience: int = 0  # stop after so many previews without a gain; 0 = never
    resume: bool = False


FACTORS = {4: 2, 2: 1, 1: 1}  # shares of each batch
CONTENT_LAYERS = {"relu3_1": 0.5, "relu4_1": 1.0}
STYLE_LAYERS = {"relu1_1": 0.1, "relu2_1": 0.3, "relu3_1": 1.0, "relu4_1": 1.0}
HALF_LAYERS = {"relu1_1": 0.3, "relu2_1": 0.7, "relu3_1": 1.0, "relu4_1": 1.0, "relu5_1": 1.0}


class Painter(nn.Module):
    """A style in training, that also runs at strengths between its base (0) and itself (1)."""

    def __init__(self, style: StyleSRNet, base: StyleSRNet) -> None:
        super().__init__()
        self.style = style
        self.anchor = nn.ParameterDict(
            {name.replace(".", "/"): p.detach().clone() for name, p in base.named_parameters()}
        ).requires_grad_(False)

    def forward(
        self, inputs: list[tuple[int, Tensor]], seeds: list[int], strength: float
    ) -> Tensor:
        """Paint pairs (factor, pictures) with the weights base + strength · (style − base)."""
        weights = dict(self.style.named_parameters())
        if strength != 1:
            weights = {
                name: torch.lerp(self.anchor[name.replace(".", "/")], p, strength)
                for name, p in weights.items()
            }
        painted, seeds = [], list(seeds)
        for scale, x in inputs:
            own, seeds = seeds[: len(x)], seeds[len(x) :]
            painted.append(functional_call(self.style, weights, (x, scale, own)))
        return torch.cat(painted)


def main(recipe: Recipe) -> None:
    """Run the recipe; writes `out/model` (the averaged weights), losses, previews, checkpoints."""
    # -- models, optimisers -------------------------------------------------------------------
    accelerator = Accelerator(
        mixed_precision=recipe.mixed_precision, log_with="tensorboard", project_dir=recipe.out
    )
    device = accelerator.device
    out = Path(recipe.out)
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    base = StyleSRNet.from_pretrained(recipe.base)
    model = new_style(base, recipe)
    model.skips.requires_grad_(False)  # of the linear path only the gain is learnt
    painter = Painter(model, base).to(device, memory_format=torch.channels_last)
    critic = PatchDiscriminator().to(device, memory_format=torch.channels_last)
    vgg = DistilledVGG19.load(recipe.perceptual or None).to(device)
    ema = training.average(model, recipe.ema)
    g_optimizer = torch.optim.Adam(model.parameters(), lr=recipe.lr, betas=(0.9, 0.99))
    d_optimizer = torch.optim.Adam(critic.parameters(), lr=4e-4, betas=(0.5, 0.99))
    scheduler = training.schedule(g_optimizer, recipe.steps, recipe.warmup, recipe.cooldown)
    parts = {
        "model": model,
        "ema": ema,
        "critic": critic,
        "g_optimizer": g_optimizer,
        "d_optimizer": d_optimizer,
        "scheduler": scheduler,
    }
    done = 0
    if recipe.resume:
        state = training.load_checkpoint(out / "checkpoints", device)
        for name, part in parts.items():
            part.load_state_dict(state[name])
        done = state["step"]

    # -- the style's statistics and patches; the photos ----------------------------------------
    works = [load_style(path, recipe.style_size).to(device) for path in recipe.style_image]
    full_target = mean_grams(vgg, works)
    half_target = mean_grams(vgg, [half(work) for work in works])
    items = recipe.batch * accelerator.num_processes
    photos = gather(recipe.photos, [], at_least=recipe.crop)
    inside = recipe.crop - 2 * recipe.margin
    crops = RandomCrops(photos, recipe.crop, recipe.steps * items, recipe.seed)
    patches = RandomCrops(
        [(work[0] * 255).round().byte().cpu() for work in works],
        inside,
        len(crops),
        recipe.seed + 1,
        reduce=0.5,
    )
    pairs = Pairs(crops, patches)
    loader = DataLoader(Subset(pairs, range(done * items, len(pairs))), recipe.batch)
    painter, critic, g_optimizer, d_optimizer, loader = accelerator.prepare(
        painter, critic, g_optimizer, d_optimizer, loader
    )
    accelerator.init_trackers("style")

    # -- loop -----------------------------------------------------------------------------------
    stop = training.EarlyStop(recipe.patience)
    rows: list[dict[str, Tensor]] = []
    bar = tqdm(loader, initial=done, total=recipe.steps, disable=not accelerator.is_main_process)
    started = time.monotonic()
    for step, (photo, patch) in enumerate(bar, start=done + 1):
        rng = random.Random(f"{recipe.seed} {step} {accelerator.process_index}")
        together = random.Random(f"{recipe.seed} {step}")  # the same choice in every process
        strength = together.random() if together.random() < recipe.line else 1.0
        growth = min(1.0, 0.2 + 0.8 * step / max(1.0, recipe.ramp * recipe.steps))
        seeds = [rng.randrange(2**31) for _ in range(len(photo))]
        inputs = [
            (scale, downscale(part, scale).clamp(0, 1))
            for scale, part in training.share_out(photo, FACTORS).items()
        ]

        # -- generator: in the style, the scene whole, and a patch of the painting ---------------
        with accelerator.autocast():
            painted = painter(inputs, seeds, strength)
            m = recipe.margin
            painted, target = (x[..., m:-m, m:-m].float() for x in (painted, photo))
            seen, seen_half = vgg(painted), vgg(half(painted))
            with torch.no_grad():
                wanted = vgg(target)
            critic.requires_grad_(False)
            score = critic(painted)
        losses = {
            "content": recipe.content * content_loss(seen, wanted, CONTENT_LAYERS),
            "style": recipe.style
            * growth
            * strength
            * (
                relative_gram_loss(vgg.grams(seen), full_target, STYLE_LAYERS)
                + relative_gram_loss(vgg.grams(seen_half), half_target, HALF_LAYERS)
            )
            / 2,
            "tone": recipe.tone * tone_loss(painted, target),
            "edge": recipe.edge * edge_loss(painted, target),
            "tv": recipe.tv * total_variation(painted),
            "lattice": recipe.lattice * lattice_loss(painted),
            "adversarial": recipe.adversarial * strength * hinge_generator(score.float()),
        }
        loss = torch.stack(list(losses.values())).sum()
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(painter.parameters(), 1.0)
        g_optimizer.step()
        g_optimizer.zero_grad()
        scheduler.step()
        ema.update_parameters(model)

        # -- discriminator: the painting against our pictures and against photos -----------------
        critic.requires_grad_(True)
        with accelerator.autocast():
            negatives = torch.cat([painted.detach(), target[:1]])
            scores = critic(torch.cat([patch, negatives])).float()
        d_loss = hinge_discriminator(scores[: len(patch)], scores[len(patch) :])
        accelerator.backward(d_loss)
        d_optimizer.step()
        d_optimizer.zero_grad()

        # -- log, look, save ----------------------------------------------------------------------
        rows.append({**losses, "discriminator": d_loss})
        last = step == recipe.steps
        if not accelerator.is_main_process:
            continue
        if step % recipe.log_every == 0 or last:
            row = {
                "step": step,
                **training.means(rows),
                "minutes": (time.monotonic() - started) / 60,
            }
            training.write_row(out / "losses.csv", row)
            accelerator.log(row, step=step)
            bar.set_postfix(content=f"{row['content']:.3f}", style=f"{row['style']:.3f}")
            rows.clear()
        if step % recipe.save_every == 0 or last:
            state = {name: part.state_dict() for name, part in parts.items()}
            training.save_checkpoint(out / "checkpoints", step, state)
            ema.module.save_pretrained(out / "model")
            training.plot_losses(out / "losses.csv", out / "losses.png")
        if recipe.preview_photos and (step % recipe.preview_every == 0 or last):
            paths = find_pictures(recipe.preview_photos)[: recipe.previews]
            training.preview(out, step, base, {out.name: ema.module}, paths)
            distance = judge(ema.module, vgg, paths, full_target, recipe)
            accelerator.log({"distance": distance}, step=step)
            if stop(-distance):
                break
    accelerator.end_training()


def new_style(base: StyleSRNet, recipe: Recipe) -> StyleSRNet:
    """A copy of the base, or of the style to go on from, that names its base."""
    source = StyleSRNet.from_pretrained(recipe.start) if recipe.start else base
    config = {**base.config, "base": Path(recipe.base).name, "base_sha256": base.fingerprint()}
    model = StyleSRNet(**config)
    model.load_state_dict(source.state_dict())
    if not recipe.start:
        model.skip_gain.data.fill_(recipe.gain)
    return model


@torch.inference_mode()
def judge(
    model: StyleSRNet,
    vgg: DistilledVGG19,
    photos: list[Path],
    target: dict[str, Tensor],
    recipe: Recipe,
) -> float:
    """Content plus style distance at ×4 on photos that are not trained on: less is better."""
    total = 0.0
    for path in photos:
        photo = load_rgb(path)[None].to(model.device).float() / 255
        height, width = (side // 16 * 16 for side in photo.shape[-2:])
        photo = photo[..., :height, :width].contiguous(memory_format=torch.channels_last)
        seen = vgg(model(downscale(photo, 4), scale=4).clamp(0, 1))
        total += recipe.content * float(content_loss(seen, vgg(photo), CONTENT_LAYERS))
        total += recipe.style * float(relative_gram_loss(vgg.grams(seen), target, STYLE_LAYERS))
    return total / len(photos)


def load_style(path: str, size: int) -> Tensor:
    """(1, 3, H, W) in [0, 1], reduced to a longest side of `size` where it is larger."""
    picture = load_rgb(path)[None].float() / 255
    longest = max(picture.shape[-2:])
    if min(picture.shape[-2:]) < 256:
        raise InputError(
            f"{path} is {picture.shape[-1]}×{picture.shape[-2]}: too small for a style"
        )
    if longest > size:
        target = [max(1, round(side * size / longest)) for side in picture.shape[-2:]]
        picture = resize(picture, (target[0], target[1])).clamp(0, 1)
    return picture.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def mean_grams(vgg: DistilledVGG19, works: list[Tensor]) -> dict[str, Tensor]:
    """Gram matrices averaged over the works."""
    each = [vgg.grams(vgg(work)) for work in works]
    return {layer: torch.stack([g[layer] for g in each]).mean(0) for layer in each[0]}


def half(picture: Tensor) -> Tensor:
    """Reduce to half the size."""
    return F.avg_pool2d(picture, 2)


class Pairs(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """Item i of two datasets, side by side."""

    def __init__(self, first: RandomCrops, second: RandomCrops) -> None:
        self.first, self.second = first, second

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.first)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Crop `index` of each."""
        return self.first[index], self.second[index]


def parse() -> Recipe:
    """Read the command line; options and defaults come from `Recipe`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    training.add_options(parser, Recipe)
    return Recipe(**vars(parser.parse_args()))


if __name__ == "__main__":
    main(parse())
