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
from stylesr.pipeline import StyleSRPipeline
from stylesr.releases import Releases
from stylesr.resample import resize

__all__ = [
    "FEATURES",
    "PROTOCOL",
    "STYLE",
    "Judge",
    "SqueezeJudge",
    "Statistics",
    "VggJudge",
    "load_work",
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

STYLE = "style"
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
    )
}


Statistics = dict[str, Tensor]  # (1, C, C) by layer


class Judge(ABC):
    """A network on whose features style and content are measured."""

    name: str

    @abstractmethod
    def look(self, picture: Tensor) -> Any:
        """What it sees in (3, H, W), RGB in [0, 1]."""

    @abstractmethod
    def statistics(self, seen: Any) -> Statistics:
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

    def statistics(self, seen: dict[str, Tensor]) -> Statistics:
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

    def statistics(self, seen: dict[str, Tensor]) -> Statistics:
        """Gram matrices of all maps."""
        return {layer: gram_matrix(features) for layer, features in seen.items()}

    def content(self, seen: dict[str, Tensor], photo: dict[str, Tensor]) -> float:
        """Mean relative distance of features."""
        layers = SQUEEZE_CONTENT_LAYERS
        return float(content_distance(*([f[k] for k in layers] for f in (seen, photo))))


def style_distance(ours: Statistics, work: Statistics) -> float:
    """Mean over layers of ‖G − T‖² / ‖T‖²."""
    return float(relative_gram_loss(ours, work, dict.fromkeys(work, 1.0)))


def together(each: Sequence[Statistics]) -> Statistics:
    """Statistics of several pictures as if they were one."""
    return {layer: torch.cat([one[layer] for one in each]).mean(0, True) for layer in each[0]}


def style_rows(
    pipe: StyleSRPipeline,
    work: Tensor,
    photos: Sequence[Path],
    judges: Sequence[Judge],
    dataset: str,
) -> list[Row]:
    """Figures of the pipeline's first style, for each judge and strength.

    Args:
        work: (3, H, W), what the style should look like.
        photos: HR pictures; the style gets them reduced by 4.
        dataset: what to call the photos.
    """
    style, scale = pipe.styles[0], 4
    goals = [judge.statistics(judge.look(work)) for judge in judges]
    figures: dict[tuple[str, float], list[dict[str, float]]] = {}
    statistics: dict[tuple[str, float], list[tuple[Statistics, Statistics]]] = {}
    for path in progress(photos, style):
        hr = hr_picture(path)
        lr = low_resolution(hr, scale)
        soft = bicubic(lr, scale)
        painted = {s: enlarge(pipe, lr, style, scale, s) for s in STRENGTHS}
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


def load_work(folder: Path, releases: Releases, name: str) -> Tensor:
    """The style's work, reduced to the size that styles are trained at: (3, H, W) in [0, 1].

    Raises:
        InputError: the releases name no work, or not the model.
        ImageError: the work cannot be read.
    """
    work = releases[name].work
    if work is None:
        raise InputError(f"{releases.path}: [models.{name}] needs a work, as {name} is a style")
    picture = decode(folder / work.image)
    longest = max(picture.height, picture.width)
    if longest <= WORK_SIZE:
        return picture.pixels
    height, width = (
        max(1, round(side * WORK_SIZE / longest)) for side in (picture.height, picture.width)
    )
    return resize(picture.pixels[None], (height, width))[0].clamp(0, 1)
