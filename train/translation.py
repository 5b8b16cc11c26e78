"""Train a translation: pictures of one kind become pictures of another.

    python train/translation.py --photos my-photos --works my-paintings --out runs/to-painting

    python train/translation.py --method pix2pix --photos my-pairs --out runs/to-facade

CycleGAN needs no pairs, only pictures of both kinds, and learns both ways at once: photos become
paintings and paintings photos. pix2pix learns from pairs, each one file with the given on the left
and the wanted on the right (--swap where it is the other way round).

The lines run on a laptop's CPU and on a GPU; with `accelerate launch` in place of `python` on
several. Stop with Ctrl-C when you like and add `--resume` to go on. See train/README.md.
"""

import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, StackDataset, Subset
from tqdm import tqdm

from stylesr import training
from stylesr.data.datasets import RandomCrops, find_pictures, load_folder, load_rgb
from stylesr.errors import InputError
from stylesr.losses.adversarial import GAN_LOSSES
from stylesr.losses.perceptual import lattice_loss, phase_loss
from stylesr.models import Generator, ResnetGenerator, UNetGenerator
from stylesr.models.discriminators import PatchDiscriminator
from stylesr.models.wrappers import BothWays
from stylesr.picture import Picture, to_pil
from stylesr.previews import grid


@dataclass
class Recipe:
    """Values of a run; each is an option of the command."""

    photos: list[str]  # folders of what is to be translated; for pix2pix, of pairs
    works: list[str] = field(default_factory=list)  # folders of the other kind, for cyclegan
    out: str = "runs/translation"
    method: Literal["cyclegan", "pix2pix"] = "cyclegan"
    swap: bool = False  # pix2pix: the given is on the right
    channels: int = 32  # the papers' networks have 64
    blocks: int = 6  # of cyclegan's networks, as published for small crops
    levels: int = 7  # of pix2pix's: it halves the crop so often
    noise_levels: int = 0  # of pix2pix's: channels of noise, from which it can make strokes
    init: str = ""  # a model to go on from, and for cyclegan its way back
    init_back: str = ""
    photo_side: int = 640  # longest side to which larger pictures are reduced, of photos and pairs
    work_side: int = 800  # of works: it decides how large a stroke is
    steps: int = 6000
    batch: int = 1
    crop: int = 128
    lr: float = 2e-4
    cooldown: float = 0.5  # share of the steps over which the rates fall to zero
    cycle: float = 10.0  # weight of coming back to the same picture
    identity: float = 5.0  # weight of leaving alone what is of the wanted kind already
    pixel_weight: float = 100.0  # pix2pix: weight of the difference from the wanted picture
    adversarial: float = 1.0
    lattice: float = 0.0  # against grids and dots, in which cyclegan hides what it needs to return
    cycle_noise: float = 0.0  # levels of 255: the way back sees through so much noise, for the same
    gan_loss: Literal["vanilla", "least-squares", "hinge", "relativistic"] = "least-squares"
    patch: int = 70  # side of what a discriminator's score is about; or 46
    critic: int = 32  # its width
    critic_lr: float = 2e-4
    replay: int = 50  # earlier results that the discriminators of cyclegan see again
    dropout: float = 0.5  # pix2pix: in the decoder
    weight_decay: float = 0.0
    ema: float = 0.995
    seed: int = 0
    mixed_precision: Literal["no", "bf16"] = "no"  # "bf16" where the processor has it
    workers: int = 0  # processes that cut crops beside the training, for a GPU
    log_every: int = 50
    preview_photos: str = ""  # a folder; its first pictures, or pairs, are translated in between
    previews: int = 4
    preview_every: int = 500
    save_every: int = 250
    patience: int = 0  # pix2pix: stop after so many previews without a gain; 0 = never
    resume: bool = False


def main(recipe: Recipe) -> None:
    """Run the recipe; writes `out/model` (the averaged weights), losses, previews, checkpoints.

    The model of the way back is in `out/model-back`.
    """
    # -- models, optimisers -------------------------------------------------------------------
    check(recipe)
    paired = recipe.method == "pix2pix"
    out = Path(recipe.out)
    accelerator = Accelerator(
        mixed_precision=recipe.mixed_precision, log_with="tensorboard", project_dir=out
    )
    device = accelerator.device
    torch.manual_seed(recipe.seed)
    critics: dict[str, Any]  # by the kind that they know
    networks: dict[str, Generator] = {"model": new_generator(recipe, recipe.init)}
    if paired:
        critics = {"b": PatchDiscriminator(recipe.critic, recipe.patch, pictures=2)}
        translator: nn.Module = networks["model"]
    else:
        networks["model-back"] = new_generator(recipe, recipe.init_back)
        critics = {kind: PatchDiscriminator(recipe.critic, recipe.patch) for kind in "ab"}
        translator = BothWays(*networks.values(), noise=recipe.cycle_noise / 255)
    translator.to(device, memory_format=torch.channels_last)
    everyone = nn.ModuleDict(networks)
    ema = training.average(everyone, recipe.ema)
    options: dict[str, Any] = {"betas": (0.5, 0.999), "weight_decay": recipe.weight_decay}
    g_optimizer = torch.optim.Adam(everyone.parameters(), lr=recipe.lr, **options)
    judges = nn.ModuleDict(critics).to(device, memory_format=torch.channels_last)
    d_optimizer = torch.optim.Adam(judges.parameters(), lr=recipe.critic_lr, **options)
    g_schedule, d_schedule = (
        training.schedule(optimizer, recipe.steps, warmup=1, cooldown=recipe.cooldown)
        for optimizer in (g_optimizer, d_optimizer)
    )
    stop = training.EarlyStop(recipe.patience)
    replays = {kind: training.Replay(0 if paired else recipe.replay) for kind in critics}
    parts = {
        "networks": everyone,
        "ema": ema,
        "critics": judges,
        "g_optimizer": g_optimizer,
        "d_optimizer": d_optimizer,
        "g_schedule": g_schedule,
        "d_schedule": d_schedule,
        "stop": stop,
        **{f"replay_{kind}": replay for kind, replay in replays.items()},
    }
    done = 0
    if recipe.resume:
        state = training.load_checkpoint(out / "checkpoints")
        done = training.restore(parts, state, recipe.steps)

    # -- pictures -------------------------------------------------------------------------------
    items = recipe.batch * accelerator.num_processes
    pictures = crops_of_both(recipe, recipe.steps * items)
    rest = Subset(pictures, range(done * items, recipe.steps * items))
    loader = DataLoader(rest, recipe.batch, num_workers=recipe.workers)
    translator, g_optimizer, d_optimizer, loader = accelerator.prepare(
        translator, g_optimizer, d_optimizer, loader
    )
    critics = {kind: accelerator.prepare(critic) for kind, critic in critics.items()}
    minutes, shown = 0.0, []
    if accelerator.is_main_process:
        minutes = training.begin(recipe, done, accelerator.num_processes)
        if recipe.preview_photos:
            shown = training.preview_photos(recipe.preview_photos, recipe.previews, out)
    accelerator.init_trackers("translation")

    # -- loop -----------------------------------------------------------------------------------
    gan = GAN_LOSSES[recipe.gan_loss]
    interrupt, g_finite, d_finite = training.Interrupt(), training.Finite(), training.Finite()
    rows: list[dict[str, Tensor]] = []
    bar = tqdm(loader, initial=done, total=recipe.steps, disable=not accelerator.is_main_process)
    started = time.monotonic() - 60 * minutes
    for step, (a, b) in enumerate(bar, start=done + 1):
        rng = random.Random(f"{recipe.seed} {step} {accelerator.process_index}")
        torch.manual_seed(rng.getrandbits(63))  # of the dropout

        # -- generators: of the other kind, and what was given can be told from it ----------------
        losses: dict[str, Tensor] = {}
        judged: dict[str, tuple[Tensor, Tensor]] = {}  # real and made, by the kind to be
        with accelerator.autocast():
            if paired:
                made = translator(a).float()
                losses["pixel"] = recipe.pixel_weight * F.l1_loss(made, b)
                judged["b"] = torch.cat([a, b], 1), torch.cat([a, made], 1)
            else:
                made = translator(a, b)
                again = F.l1_loss(made.a_again.float(), a) + F.l1_loss(made.b_again.float(), b)
                same = F.l1_loss(made.a_same.float(), a) + F.l1_loss(made.b_same.float(), b)
                losses["cycle"] = recipe.cycle * again
                losses["identity"] = recipe.identity * same
                judged = {"b": (b, made.b.float()), "a": (a, made.a.float())}
            judges.requires_grad_(False)
            opinions = []
            for kind, (real, fake) in judged.items():
                seen = [fake, real] if gan.relative else [fake]
                opinions.append(gan.generator(*(critics[kind](x).float() for x in seen)))
        losses["adversarial"] = recipe.adversarial * torch.stack(opinions).sum()
        if recipe.lattice:
            results = [fake[:, -3:] for _, fake in judged.values()]  # without what was given
            patterns = [lattice_loss(x) + phase_loss(x) for x in results]
            losses["lattice"] = recipe.lattice * torch.stack(patterns).sum()
        loss = torch.stack(list(losses.values())).sum()
        accelerator.backward(loss)
        sound = g_finite(accelerator.clip_grad_norm_(everyone.parameters(), float("inf")))
        if sound:
            g_optimizer.step()
            ema.update_parameters(everyone)
        g_optimizer.zero_grad()
        g_schedule.step()

        # -- discriminators: real pictures against ours, new and earlier --------------------------
        judges.requires_grad_(True)
        verdicts = []
        for kind, (real, fake) in judged.items():
            fake = replays[kind](fake, rng)
            with accelerator.autocast():
                scores = critics[kind](torch.cat([real, fake])).float()
            verdicts.append(gan.discriminator(*scores.chunk(2)))
        losses["discriminator"] = torch.stack(verdicts).sum()
        accelerator.backward(losses["discriminator"])
        if d_finite(accelerator.clip_grad_norm_(judges.parameters(), float("inf"))):
            d_optimizer.step()
            if sound:
                rows.append({name: value.detach() for name, value in losses.items()})
        d_optimizer.zero_grad()
        d_schedule.step()

        # -- look ---------------------------------------------------------------------------------
        last = step == recipe.steps
        averaged: dict[str, Generator] = dict(ema.module.items())  # type: ignore[operator]
        if shown and (last or step % recipe.preview_every == 0):  # in the main process only
            figures = look(out, step, recipe, averaged, shown)
            training.write_row(out / "figures.csv", {"step": step, **figures})
            accelerator.log(figures, step=step)
            if stop(-sum(figures.values())):
                accelerator.set_trigger()

        # -- log, save, stop ----------------------------------------------------------------------
        if interrupt.noted:
            accelerator.set_trigger()
        stopping = accelerator.check_trigger()  # what one process says holds for all
        last = last or stopping
        if accelerator.is_main_process and rows and (last or step % recipe.log_every == 0):
            row = {"step": step, **training.means(rows), "lr": g_schedule.get_last_lr()[0]}
            row["minutes"] = (time.monotonic() - started) / 60
            training.write_row(out / "losses.csv", row)
            accelerator.log(row, step=step)
        if step % recipe.log_every == 0:
            rows.clear()
        if accelerator.is_main_process and (last or step % recipe.save_every == 0):
            state = {name: part.state_dict() for name, part in parts.items()}
            training.save_checkpoint(out / "checkpoints", step, state)
            for name, network in averaged.items():
                network.save_pretrained(out / name)
            training.plot_tables(out)
        if stopping:
            break
    accelerator.wait_for_everyone()  # a process group that is closed at work may never close,
    accelerator.free_memory(translator, *critics.values())  # nor one that a model still holds
    accelerator.end_training()
    if interrupt.noted:
        raise KeyboardInterrupt


def check(recipe: Recipe) -> None:
    """Refuse what cannot work before any work is done."""
    paired = recipe.method == "pix2pix"
    names = ("cycle", "identity", "pixel_weight", "adversarial", "lattice", "weight_decay")
    least = {**dict.fromkeys(names, 0), "cycle_noise": 0, "replay": 0}
    crop = 72 if recipe.patch == 70 else 48
    training.check_run(recipe, batch=1, crop=crop, previews=1, critic=1, **least)
    if recipe.patch not in (46, 70):
        raise InputError(f"--patch must be 46 or 70, got {recipe.patch}")
    if paired and recipe.works:
        raise InputError("--works is of cyclegan; the pairs of pix2pix hold both kinds")
    if not paired and not recipe.works:
        raise InputError("cyclegan needs --works, folders of the other kind (or --method pix2pix)")
    if recipe.patience and not (paired and recipe.preview_photos):
        raise InputError("--patience is of pix2pix and needs --preview-photos, held-out pairs")
    multiple = 2**recipe.levels if paired else 4
    if recipe.crop % multiple:
        raise InputError(f"--crop must be a multiple of {multiple}, got {recipe.crop}")
    for folder in recipe.works:
        find_pictures(folder)


def new_generator(recipe: Recipe, init: str) -> Generator:
    """A new network of the method, or one to go on from."""
    if recipe.method == "pix2pix":
        if init:
            return UNetGenerator.from_pretrained(init).train()
        config = recipe.channels, recipe.levels, recipe.dropout, recipe.noise_levels
        return weakened(UNetGenerator(*config))
    if init:
        return ResnetGenerator.from_pretrained(init).train()
    return weakened(ResnetGenerator(recipe.channels, recipe.blocks))


def weakened(network: Generator) -> Generator:
    """Weights of a standard deviation of 0.02, with which both papers begin."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


def crops_of_both(recipe: Recipe, length: int) -> Dataset[Any]:
    """Items (a, b) of two (3, crop, crop): of one place in a pair, or of two random pictures."""

    def crops(pictures: list[Tensor], seed: int) -> RandomCrops:
        return RandomCrops(pictures, recipe.crop, length, seed, upright=True)

    if recipe.method == "pix2pix":
        pairs = [load_pair(path, recipe) for f in recipe.photos for path in find_pictures(f)]
        return BothHalves(crops(pairs, recipe.seed))
    photos, works = (
        [p for f in folders for p in load_folder(f, at_least=recipe.crop, at_most=side)]
        for folders, side in ((recipe.photos, recipe.photo_side), (recipe.works, recipe.work_side))
    )
    return StackDataset(crops(photos, recipe.seed), crops(works, recipe.seed + 1))


class BothHalves(Dataset[tuple[Tensor, Tensor]]):
    """The given and the wanted picture of crops of six channels."""

    def __init__(self, crops: RandomCrops) -> None:
        self.crops = crops

    def __len__(self) -> int:
        """Number of items."""
        return len(self.crops)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Two (3, size, size), float32 in [0, 1]."""
        given, wanted = self.crops[index].split(3)
        return given, wanted


def load_pair(path: Path, recipe: Recipe) -> Tensor:
    """(6, H, W) uint8: the given picture, then the wanted one."""
    pair = load_rgb(path, at_most=2 * recipe.photo_side)
    width = pair.shape[2] // 2
    if min(pair.shape[1], width) < recipe.crop:
        raise InputError(
            f"{path} holds two pictures of {width}×{pair.shape[1]}, less than a --crop of "
            f"{recipe.crop}; give larger ones or a smaller --crop"
        )
    halves = [pair[..., :width], pair[..., -width:]]
    return torch.cat(halves[::-1] if recipe.swap else halves)


@torch.inference_mode()
def look(
    out: Path, step: int, recipe: Recipe, networks: dict[str, Generator], paths: list[Path]
) -> dict[str, float]:
    """Draw what the networks make of pictures that are not trained on, and measure it.

    Returns:
        For pix2pix the mean absolute difference from the wanted pictures, in levels of 255; for
        cyclegan that of the pictures from themselves, there and back.
    """
    paired = recipe.method == "pix2pix"
    model = networks["model"].eval()
    rows, differences = [], []
    for path in paths:
        if paired:
            given, wanted = (x[None].float() / 255 for x in load_pair(path, recipe).split(3))
            given, wanted = fitted(given, model), fitted(wanted, model)
            made = model(given)
            cells = [given, made, wanted]
            differences.append(made - wanted)
        else:
            given = fitted(load_rgb(path, at_most=recipe.photo_side)[None].float() / 255, model)
            made = model(given)
            again = networks["model-back"].eval()(made)
            cells = [given, made, again]
            differences.append(again - given)
        rows.append([to_pil(Picture(x[0].clamp(0, 1).cpu())) for x in cells])
    if not paired:  # works have nothing held out: there are too few
        for path in [p for folder in recipe.works for p in find_pictures(folder)][: len(paths)]:
            given = fitted(load_rgb(path, at_most=recipe.photo_side)[None].float() / 255, model)
            made = networks["model-back"](given)
            rows.append([to_pil(Picture(x[0].cpu())) for x in (given, made, model(made))])
    titles = ["given", "made of it", "wanted" if paired else "and back"]
    grid(rows, titles).save(out / "previews" / f"step-{step:07d}.png")
    difference = sum(float(d.abs().mean()) for d in differences) / len(differences)
    return {"pixel" if paired else "cycle": 255 * difference}


def fitted(picture: Tensor, model: Generator) -> Tensor:
    """(1, 3, H, W) on the model's device, its sides cut to what the model takes."""
    multiple = model.multiple_of(1)
    height, width = (side // multiple * multiple for side in picture.shape[-2:])
    picture = picture[..., :height, :width].to(model.device)
    return picture.contiguous(memory_format=torch.channels_last)


if __name__ == "__main__":
    sys.exit(training.run(main, Recipe, __doc__))
