"""How near a style comes to its work, and how much of the photo it keeps.

Distances on the features of two networks, of which the second takes part in no training.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from stylesr.errors import InputError
from stylesr.fidelity import Row, bicubic, enlarge, hr_picture, low_resolution, progress
from stylesr.images import decode
from stylesr.losses.perceptual import DistilledVGG19, relative_gram_loss
from stylesr.metrics import SqueezeFeatures, content_distance, gram_matrix
from stylesr.models import MicroAST
from stylesr.models.adain_net import Statistics
from stylesr.picture import Picture, eight_bits
from stylesr.pipeline import StyleSRPipeline
from stylesr.releases import Releases
from stylesr.resample import resize
from stylesr.tiling import drain

__all__ = [
    "ANY_STYLE",
    "FEATURES",
    "PROTOCOL",
    "STYLE",
    "Grams",
    "Judge",
    "SqueezeJudge",
    "VggJudge",
    "any_style_rows",
    "load_unseen",
    "load_work",
    "read_work",
    "style_distance",
    "style_rows",
    "together",
]

STRENGTHS = (0.5, 1.0)
WORK_SIZE = 1024  # longest side of the work, the one that styles are trained at

FEATURES = ("VGG-19 (distilled)", "SqueezeNet 1.1")
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
CONTENT_LAYERS = ("relu3_1", "relu4_1")
SQUEEZE_CONTENT_LAYERS = ("fire3", "fire5")  # at the same quarter and eighth of the size

STYLE, ANY_STYLE = "style", "any style"
PROTOCOL = {
    STYLE: (
        "Held-out photos reduced by 4 (antialiased bicubic, 8 bits) and painted at ×4, brush 1, "
        f"seed 0; the work at a longest side of at most {WORK_SIZE}. Style distance: mean over "
        "layers of |G-T|²/|T|² of the Gram matrices of result and work; content distance: mean of "
        "|F-P|²/|P|² of the features of result and photo. Distilled VGG-19: Gram at relu1_1 to "
        "relu4_1, content at relu3_1 and relu4_1. SqueezeNet 1.1, used in no training: Gram at "
        "all seven maps of LPIPS, content at fire3 and fire5. Layers weigh alike; averaged over "
        "the photos; the ratio is that of the averages. Together: the same ratio, where the Gram "
        "matrices of all results are averaged before they are compared, and those of all photos, "
        "as not each picture need hold all of the work's colours."
    ),
    ANY_STYLE: (
        "Held-out photos painted at their own size (×1, brush 1, seed 0) like each of several "
        "works that took no part in the training, at a longest side of at most "
        f"{WORK_SIZE}; results "
        "rounded to 8 bits. Distances as for a style with one work, averaged over all pairs of a "
        "work and a photo. The peer paints the same photos like the same pictures of the works."
    ),
}


Grams = dict[str, Tensor]  # (1, C, C) by layer


class Judge(ABC):
    """A network on whose features style and content are measured."""

    name: str

    @abstractmethod
    def look(self, picture: Tensor) -> Any:
        """What it sees in (3, H, W), RGB in [0, 1]."""

    @abstractmethod
    def statistics(self, seen: Any) -> Grams:
        """What makes the style of what it saw: Gram matrices by layer."""

    @abstractmethod
    def content(self, seen: Any, photo: Any) -> float:
        """Distance of a picture from its photo, both of one size."""

    def style(self, seen: Any, work: Any) -> float:
        """Distance of a picture's statistics from the work's: mean over layers, relative."""
        return style_distance(self.statistics(seen), self.statistics(work))


class VggJudge(Judge):
    """The distilled VGG-19, which also guides the training of styles.

    Args:
        path: its safetensors file, or "fetch" for the public one, downloaded once and kept.
    """

    name = FEATURES[0]

    def __init__(self, path: str | Path) -> None:
        self.network = DistilledVGG19.load(None if str(path) == "fetch" else path)

    @torch.inference_mode()
    def look(self, picture: Tensor) -> dict[str, Tensor]:
        """Features by layer."""
        return self.network(picture[None])

    def statistics(self, seen: dict[str, Tensor]) -> Grams:
        """Gram matrices in VGG's channels."""
        return self.network.grams({layer: seen[layer] for layer in STYLE_LAYERS})

    def content(self, seen: dict[str, Tensor], photo: dict[str, Tensor]) -> float:
        """Mean relative distance of features."""
        return float(content_distance(*([f[k] for k in CONTENT_LAYERS] for f in (seen, photo))))


class SqueezeJudge(Judge):
    """SqueezeNet 1.1, on which nothing is trained."""

    name = FEATURES[1]

    def __init__(self, path: str | Path) -> None:
        self.network = SqueezeFeatures(path)

    @torch.inference_mode()
    def look(self, picture: Tensor) -> dict[str, Tensor]:
        """Features by layer."""
        return self.network(picture[None])

    def statistics(self, seen: dict[str, Tensor]) -> Grams:
        """Gram matrices of all maps."""
        return {layer: gram_matrix(features) for layer, features in seen.items()}

    def content(self, seen: dict[str, Tensor], photo: dict[str, Tensor]) -> float:
        """Mean relative distance of features."""
        layers = SQUEEZE_CONTENT_LAYERS
        return float(content_distance(*([f[k] for k in layers] for f in (seen, photo))))


def style_distance(ours: Grams, work: Grams) -> float:
    """Mean over layers of ‖G − T‖² / ‖T‖²."""
    return float(relative_gram_loss(ours, work, dict.fromkeys(work, 1.0)))


def together(each: Sequence[Grams]) -> Grams:
    """Grams of several pictures as if they were one."""
    return {layer: torch.cat([one[layer] for one in each]).mean(0, True) for layer in each[0]}


def style_rows(
    pipe: StyleSRPipeline,
    work: Tensor,
    photos: Sequence[Path],
    judges: Sequence[Judge],
    dataset: str,
) -> list[Row]:
    """Figures of the pipeline's first style, for each judge and strength, where it has strengths.

    Args:
        work: (3, H, W), what the style should look like.
        photos: HR pictures; the style gets them reduced by 4.
        dataset: what to call the photos.
    """
    style, scale = pipe.styles[0], 4
    strengths = (1.0,) if style in pipe.painters else STRENGTHS
    goals = [judge.statistics(judge.look(work)) for judge in judges]
    figures: dict[tuple[str, float], list[dict[str, float]]] = {}
    statistics: dict[tuple[str, float], list[tuple[Grams, Grams]]] = {}
    for path in progress(photos, style):
        hr = hr_picture(path)
        lr = low_resolution(hr, scale)
        soft = bicubic(lr, scale)
        painted = {s: enlarge(pipe, lr, style, scale, s) for s in strengths}
        for judge, goal in zip(judges, goals, strict=True):
            photo = judge.look(hr.pixels)
            plain = judge.statistics(photo)
            unpainted = {
                "photo_style_distance": style_distance(plain, goal),
                "bicubic_content_distance": judge.content(judge.look(soft), photo),
            }
            for strength, result in painted.items():
                seen = judge.look(result)
                ours = judge.statistics(seen)
                values = {
                    "style_distance": style_distance(ours, goal),
                    "content_distance": judge.content(seen, photo),
                    **unpainted,
                }
                figures.setdefault((judge.name, strength), []).append(values)
                statistics.setdefault((judge.name, strength), []).append((ours, plain))
    rows = []
    goal_of = {judge.name: goal for judge, goal in zip(judges, goals, strict=True)}
    for (judge_name, strength), each in figures.items():
        means = {key: round(fmean(values[key] for values in each), 4) for key in each[0]}
        whole = [
            style_distance(together(side), goal_of[judge_name])
            for side in zip(*statistics[judge_name, strength], strict=True)
        ]
        rows.append(
            {
                "task": STYLE,
                "dataset": dataset,
                "features": judge_name,
                "scale": scale,
                "strength": strength,
                "pictures": len(photos),
                "style_distance": means["style_distance"],
                "photo_style_distance": means["photo_style_distance"],
                "style_ratio": round(means["style_distance"] / means["photo_style_distance"], 4),
                "style_ratio_together": round(whole[0] / whole[1], 4),
                "content_distance": means["content_distance"],
                "bicubic_content_distance": means["bicubic_content_distance"],
            }
        )
    return rows


@torch.inference_mode()
def any_style_rows(
    pipe: StyleSRPipeline,
    works: Sequence[Tensor],
    photos: Sequence[Path],
    judges: Sequence[Judge],
    dataset: str,
    peer: MicroAST | None = None,
) -> list[Row]:
    """Figures of the pipeline's network that takes any style, for each judge and strength.

    Args:
        works: (3, H, W) each, what the results should look like.
        photos: painted at their own size.
        dataset: what to call the photos.
        peer: paints the same.
    """
    rows: dict[tuple[str, float], list[dict[str, float]]] = {}
    goals = [[judge.look(work) for judge in judges] for work in works]
    styles = [pipe.read_style(Picture(work)) for work in works]
    codes = [peer.encode_style(work[None]) for work in works] if peer else []
    for path in progress(photos, pipe.any_style[0]):
        hr = hr_picture(path)
        seen_photo = [judge.look(hr.pixels) for judge in judges]
        for index, (style, goal) in enumerate(zip(styles, goals, strict=True)):
            painted = {s: _paint(pipe, hr, style, s) for s in STRENGTHS}
            theirs = eight_bits(peer(hr.pixels[None], codes[index])[0]) if peer else None
            for judge, target, photo in zip(judges, goal, seen_photo, strict=True):
                unpainted = {"photo_style_distance": judge.style(photo, target)}
                if theirs is not None:
                    seen = judge.look(theirs)
                    unpainted["peer_style_distance"] = judge.style(seen, target)
                    unpainted["peer_content_distance"] = judge.content(seen, photo)
                for strength, result in painted.items():
                    seen = judge.look(result)
                    values = {
                        "style_distance": judge.style(seen, target),
                        "content_distance": judge.content(seen, photo),
                        **unpainted,
                    }
                    rows.setdefault((judge.name, strength), []).append(values)
    result_rows: list[Row] = []
    for (judge_name, strength), each in rows.items():
        means = {key: round(fmean(values[key] for values in each), 4) for key in each[0]}
        result_rows.append(
            {
                "task": ANY_STYLE,
                "dataset": dataset,
                "features": judge_name,
                "scale": 1,
                "strength": strength,
                "pictures": len(photos),
                "works": len(works),
                **means,
                "style_ratio": round(means["style_distance"] / means["photo_style_distance"], 4),
                **({"peer": type(peer).__name__} if peer else {}),
            }
        )
    return result_rows


def _paint(pipe: StyleSRPipeline, photo: Picture, style: Statistics, strength: float) -> Tensor:
    work = pipe.stream(photo, scale=1, strength=strength, brush=1, style_image=style)
    return eight_bits(drain(work).pixels)


def load_unseen(folder: Path, releases: Releases, name: str) -> list[Tensor]:
    """Works that a network of any style was not trained on: (3, H, W) each, in [0, 1].

    Raises:
        InputError: the releases name none, or not the model.
        ImageError: one cannot be read.
    """
    if not releases[name].unseen:
        raise InputError(f"{releases.path}: [models.{name}] needs unseen works to be measured by")
    return [read_work(folder / image) for image in releases[name].unseen]


def load_work(folder: Path, releases: Releases, name: str) -> Tensor:
    """The style's work, reduced to the size that styles are trained at: (3, H, W) in [0, 1].

    Raises:
        InputError: the releases name no work, or not the model.
        ImageError: the work cannot be read.
    """
    work = releases[name].work
    if work is None:
        raise InputError(f"{releases.path}: [models.{name}] needs a work, as {name} is a style")
    return read_work(folder / work.image)


def read_work(path: str | Path) -> Tensor:
    """A work, (3, H, W) in [0, 1], reduced to the size that styles are trained at."""
    picture = decode(path)
    longest = max(picture.height, picture.width)
    if longest <= WORK_SIZE:
        return picture.pixels
    height, width = (
        max(1, round(side * WORK_SIZE / longest)) for side in (picture.height, picture.width)
    )
    return resize(picture.pixels[None], (height, width))[0].clamp(0, 1)
