"""What the page does with a visitor's picture, without the page.

Models are loaded on first use and kept. Knows files and typed errors, never Gradio.
"""

import json
import re
import threading
import time
import zipfile
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Resampling

from stylesr.discovery import Found, load
from stylesr.errors import ImageError, InputError, ModelError
from stylesr.exif import MARK
from stylesr.hub import bundled_folder, bundled_names, class_name, short_name
from stylesr.images import Picture, Source, check, decode, encode, save
from stylesr.metrics import psnr_y
from stylesr.models.adain_net import AdaINNet
from stylesr.models.base import check_range
from stylesr.models.resnet_generator import ResnetGenerator
from stylesr.models.stylesr_net import StyleSRNet
from stylesr.models.transformer_net import TransformerNet
from stylesr.models.unet_generator import UNetGenerator
from stylesr.orders import Batch, Choices, Footage, Painting, Panel, Sketch
from stylesr.passes import MAX_SCALE, Size, target_size
from stylesr.pipeline import Plan, Progress, StyleSRPipeline
from stylesr.previews import PREVIEW_FILE, sample
from stylesr.screen import fit, for_screen, fraction, square
from stylesr.tiling import drain

__all__ = [
    "BICUBIC",
    "FILM_SIDES",
    "MAX_BATCH",
    "MAX_FILM_SECONDS",
    "PANEL_SIDE",
    "TWO_STAGES",
    "Studio",
]

MAX_INPUT_PIXELS = 16_000_000
MAX_OUTPUT_PIXELS = 20_000_000
MAX_BATCH = 12  # pictures
MAX_FILM_SECONDS = 5.0  # of a clip
MAX_SECONDS = 240.0  # of work

FILM_SIDES = (480, 640, 960)  # longer sides that a film's result may have
FILM_QUALITY = 20
FILM_SMOOTH = 0.7  # of what came before, where strokes are to be steady

VIVID = "photo-vivid"  # the photo model that invents more detail, where it is released
# classes that paint, or are the base
PAINTERS = [
    net.__name__ for net in (StyleSRNet, AdaINNet, TransformerNet, ResnetGenerator, UNetGenerator)
]
BICUBIC = "bicubic"
TWO_STAGES = "two-stages"

SCREEN_SIDE = 2048  # longer side of what is shown; the file has all pixels
SKETCH_SIDE = 512  # of the first, quick look
SKETCH_WORTH = 6  # a sketch is drawn where the picture is so many times the work
PANEL_SIDE = 768  # of each picture that is compared with all others
THUMBNAIL_SIDE = 160
PROBE_SIDE = 96  # of the picture on which the speed is measured before anything was painted
SCREEN_QUALITY = 92


class Studio:
    """The models of a page and what it does with them. May be used by several threads.

    Args:
        models: names or folders, that of the base first; None for all that come with the package.
        device: on which networks run; None for a GPU where there is one.
        max_input_pixels, max_output_pixels: larger pictures are refused before work starts.
        max_batch: more pictures at once are refused.
        max_seconds: work is given up after so long.

    Raises:
        ModelError: no model came with the package.
    """

    def __init__(
        self,
        models: Sequence[str | Path] | None = None,
        *,
        device: str | None = None,
        max_input_pixels: int = MAX_INPUT_PIXELS,
        max_output_pixels: int = MAX_OUTPUT_PIXELS,
        max_batch: int = MAX_BATCH,
        max_seconds: float = MAX_SECONDS,
    ) -> None:
        self.models = bundled_names() if models is None else [str(model) for model in models]
        if not self.models:
            raise ModelError(
                f"there is no model in {str(bundled_folder())!r}; train one as train/README.md "
                "says, or name folders of models"
            )
        self.device = device
        self.max_input_pixels = max_input_pixels
        self.max_output_pixels = max_output_pixels
        self.max_batch = max_batch
        self.max_seconds = max_seconds
        self._lock = threading.Lock()
        self.rates: dict[str, float] = {}  # seconds a pixel, to compute and to write
        self._guest: Studio | None = None  # with a style that was found on the Hub

    # -- models -------------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        """Names of the models as the pipeline knows them; the first one enlarges only."""
        return [short_name(model) for model in self.models]

    @property
    def styles(self) -> list[str]:
        """Names of the models that paint."""
        others = (VIVID, *self.enlargers, *self.any_style)
        return [name for name in self.names[1:] if name not in others]

    @property
    def mixable(self) -> list[str]:
        """Names of the styles that have strengths and can be mixed: those of the base."""
        return [name for name in self.styles if self._classes[name] == StyleSRNet.__name__]

    @property
    def enlargers(self) -> list[str]:
        """Names of other networks that enlarge, to compare with."""
        return [name for name, kind in self._classes.items() if kind not in PAINTERS]

    @property
    def any_style(self) -> list[str]:
        """Names of the networks that paint like a picture that they are shown."""
        return [name for name, kind in self._classes.items() if kind == AdaINNet.__name__]

    @cached_property
    def _classes(self) -> dict[str, str]:
        """What each model but the base is, by its config alone."""
        return {short_name(model): class_name(model) for model in self.models[1:]}

    @property
    def has_detail(self) -> bool:
        """Whether plain enlargement offers a choice of detail."""
        return VIVID in self.names

    @property
    def pipeline(self) -> StyleSRPipeline:
        """All models, loaded on first use.

        Raises:
            ModelError: a model is missing, corrupt or of another base.
        """
        with self._lock:
            return self._pipeline

    @cached_property
    def _pipeline(self) -> StyleSRPipeline:
        pipe = StyleSRPipeline.from_pretrained(
            self.models, max_output_pixels=self.max_output_pixels
        )
        return pipe.to(self.device or ("cuda" if torch.cuda.is_available() else "cpu"))

    # -- before the work ----------------------------------------------------------------------

    def measure(self, photo: Source) -> Size:
        """Height and width of a photo, from its header alone.

        Raises:
            ImageError: it cannot be read or is too large.
        """
        return check(photo, max_pixels=self.max_input_pixels)

    def scale(self, size: Size, choices: Choices) -> float:
        """The factor that a photo of `size` is enlarged by.

        Raises:
            InputError: the wanted width is out of range.
        """
        if choices.width is None:
            return choices.scale
        most = MAX_SCALE * size[1]
        return check_range("width", choices.width, 16, max(16, most)) / size[1]

    def target(self, size: Size, choices: Choices) -> Size:
        """Height and width of the result for a photo of `size`; needs no model.

        Raises:
            InputError: the factor is out of range or the result would be too large.
        """
        scale = self.scale(size, choices)
        height, width = target_size(size, scale)
        if height * width > self.max_output_pixels:
            raise InputError(
                f"{size[1]} × {size[0]} at ×{scale:.3g} makes {width} × {height}, more than "
                f"{self.max_output_pixels / 1e6:g} megapixels; take a smaller factor or photo"
            )
        return height, width

    def options(self, size: Size, choices: Choices) -> dict[str, Any]:
        """The keywords of `StyleSRPipeline.stream` that a visitor's choices stand for.

        Raises:
            InputError: a choice is out of range.
        """
        if not isinstance(choices.style, str):
            raise InputError(f"style must be the name of a model, got {choices.style!r}")
        style: str | dict[str, float] = choices.style
        strength = choices.strength
        if choices.style == self.names[0]:
            detail = _share("detail", choices.detail)
            if detail and not self.has_detail:
                raise InputError(f"detail {detail:g}: there is no model {VIVID!r}, take 0")
            style, strength = (VIVID, detail) if detail else (style, 1.0)
        elif choices.mix and choices.mix != choices.style:
            share = _share("share", choices.share)
            style = {choices.style: 1 - share, choices.mix: share}
        if choices.style in self.any_style:
            if choices.style_image is None:
                raise InputError(f"{choices.style!r} needs a picture to paint like")
            self.measure(choices.style_image)
        paints = choices.style != self.names[0]
        return {
            "style": style,
            "scale": self.scale(size, choices),
            "strength": strength,
            "brush": choices.brush,
            "color": choices.color,
            "seed": choices.seed,
            "style_image": choices.style_image,
            "enlarger": choices.enlarger if paints else None,
        }

    def estimate(self, size: Size, choices: Choices) -> float:
        """About how many seconds `paint` will take, from what was measured on this machine.

        Loads the models; the first time, if nothing was painted yet, measures on a small picture.
        """
        plan = self.pipeline.plan(size, **self.options(size, choices))
        if "compute" not in self.rates:
            self._probe()
        seconds = plan.work * self.rates.get(_computing(plan), self.rates["compute"])
        if _is_worth_a_sketch(size, plan):
            seconds *= 1 + 1 / SKETCH_WORTH
        return seconds + plan.height * plan.width * self.rates["write"]

    def _probe(self) -> None:
        picture = Picture(torch.linspace(0, 1, PROBE_SIDE).expand(3, PROBE_SIDE, PROBE_SIDE))
        options: dict[str, Any] = {"style": (self.styles or self.names)[-1], "scale": 4}
        drain(self.pipeline.stream(picture, **options))  # the first run is slower
        start = time.perf_counter()
        result = drain(self.pipeline.stream(picture, **options))
        painted = time.perf_counter()
        encode(result)
        written = time.perf_counter()
        work = self.pipeline.plan((PROBE_SIDE, PROBE_SIDE), **options).work
        self._learn("compute", painted - start, work)
        self._learn("write", written - painted, result.height * result.width)

    def _learn(self, rate: str, seconds: float, pixels: int) -> None:
        """The mean of what was known and the newest: other work on the machine comes and goes."""
        newest = seconds / max(pixels, 1)
        self.rates[rate] = (self.rates.get(rate, newest) + newest) / 2

    # -- one picture --------------------------------------------------------------------------

    def paint(
        self, photo: str | Path, folder: str | Path, choices: Choices
    ) -> Generator[Progress | Sketch, None, Painting]:
        """Paint one photo; close the generator to stop.

        Args:
            photo: its file.
            folder: an existing folder, into which the `Painting`'s files are written.
            choices: what to make of it.

        Yields:
            A `Sketch` first, where the picture is large; `Progress` after each tile.

        Returns:
            A `Painting`, as the generator's value.

        Raises:
            ImageError, InputError: before work starts, as `target` and `StyleSRPipeline.plan`;
                or it took longer than `max_seconds`.
        """
        start = time.perf_counter()
        folder, size = Path(folder), self.measure(photo)
        pipe, options = self.pipeline, self.options(size, choices)
        self.target(size, choices)
        plan = pipe.plan(size, **options)  # refuses before anything is decoded
        picture = decode(photo, max_pixels=self.max_input_pixels)
        if _is_worth_a_sketch(size, plan):
            yield self._sketch(picture, folder, plan, options)

        began = time.perf_counter()
        result = yield from self._timed(pipe.stream(picture, **options))
        painted = time.perf_counter()
        if plan.work:
            self._learn(_computing(plan), painted - began, plan.work)
        metadata = {**MARK, "Description": self._description(plan, options["scale"])}
        result = replace(result, metadata=metadata)

        file = folder / _file_name(photo, choices, self.names[0], plan)
        before, after = folder / "before.jpg", folder / "after.jpg"
        save(result, file)
        shown = fraction((plan.height, plan.width), SCREEN_SIDE)
        _save_for_screen(picture, shown, before)
        _save_for_screen(result, shown, after)
        end = time.perf_counter()
        self._learn("write", end - painted, plan.height * plan.width)
        notices = result.notices
        return Painting(
            file, before, after, plan.height, plan.width, end - start, notices, metadata
        )

    def paint_found(
        self, found: Found, photo: str | Path, folder: str | Path, choices: Choices
    ) -> Generator[Progress | Sketch, None, Painting]:
        """As `paint`, in a style of the Hub, loaded on request; the last one is kept.

        Raises:
            HubError, ModelError: it cannot be loaded, or is no StyleSRNet of this page's base.
        """
        if self._guest is None or self._guest.models[-1] != found.source:
            load(found)  # refuses what is another class or too large, and has it in the cache
            self._guest = Studio(
                [self.models[0], found.source],
                device=self.device,
                max_input_pixels=self.max_input_pixels,
                max_output_pixels=self.max_output_pixels,
                max_seconds=self.max_seconds,
            )
        return (yield from self._guest.paint(photo, folder, choices))

    def _sketch(
        self, picture: Picture, folder: Path, plan: Plan, options: dict[str, Any]
    ) -> Sketch:
        shown = fraction((plan.height, plan.width), SKETCH_SIDE)
        factor = shown[0] / plan.height
        size = max(1, round(picture.height * factor)), max(1, round(picture.width * factor))
        small = Picture(fit(picture.pixels, size), gray=picture.gray)
        painted = drain(self.pipeline.stream(small, **options | {"brush": 1}))
        before, after = folder / "sketch-before.jpg", folder / "sketch-after.jpg"
        _save_for_screen(picture, shown, before)
        _save_for_screen(painted, shown, after)
        return Sketch(before, after)

    def _timed(
        self, work: Generator[Progress, None, Picture]
    ) -> Generator[Progress, None, Picture]:
        """Give the work up when it takes too long."""
        while True:
            try:
                step = next(work)
            except StopIteration as end:
                picture: Picture = end.value
                return picture
            if step.seconds > self.max_seconds:
                work.close()
                raise InputError(
                    f"given up after {step.seconds:.0f} seconds, with {step.done} of {step.total} "
                    "tiles done; take a smaller factor or photo"
                )
            yield step

    def _description(self, plan: Plan, scale: float) -> str:
        """The parameters as JSON: what, and by which weights, a picture can be made again with."""
        marks = self.pipeline.fingerprints
        chained = [plan.enlarger] if plan.enlarger else []
        names = dict.fromkeys([*(name for name, _ in plan.weights), *chained])
        return json.dumps(
            {
                "scale": round(scale, 4),
                "weights": {name: round(weight, 4) for name, weight in plan.weights},
                **({"enlarger": plan.enlarger} if chained else {}),
                "brush": plan.brush,
                "color": plan.color,
                "seed": plan.seed,
                "models": {name: marks[name][:12] for name in names},
            }
        )

    def compare(
        self, photo: str | Path, folder: str | Path, choices: Choices, other: str
    ) -> Generator[Progress, None, Path]:
        """What another way makes of a photo, for the screen: the other side of a comparison.

        Args:
            photo, folder, choices: as for `paint`.
            other: a model's name, which works in one pass; "bicubic" for plain interpolation;
                "two-stages" for the style at the photo's own size, enlarged afterwards.

        Returns:
            A JPEG file of the size of `Painting.after`, as the generator's value.
        """
        size = self.measure(photo)
        scale = self.scale(size, choices)
        shown = fraction(self.target(size, choices), SCREEN_SIDE)
        result = picture = decode(photo, max_pixels=self.max_input_pixels)
        stages: list[Choices] = []
        if other == TWO_STAGES:
            plain = Choices(self.names[0], scale=scale)
            stages = [replace(choices, scale=1, width=None, enlarger=None), plain]
        elif other != BICUBIC:
            stages = [replace(choices, style=other, mix=None, detail=0, enlarger=None)]
        for stage in stages:
            options = self.options((result.height, result.width), stage)
            result = yield from self._timed(self.pipeline.stream(result, **options))
        file = Path(folder) / f"{other}.jpg"
        _save_for_screen(result if stages else picture, shown, file)
        return file

    def convert(self, painting: Painting, format: str) -> Path:
        """The painting's file in another format: png and webp without loss, jpeg.

        Raises:
            InputError: another format.
            ImageError: it cannot hold the picture, or the file is gone.
        """
        if format not in ("png", "webp", "jpeg"):
            raise InputError(f"format is png, webp or jpeg, got {format!r}")
        file = painting.file.with_suffix("." + format.replace("jpeg", "jpg"))
        if not file.exists():
            picture = decode(painting.file, max_pixels=self.max_output_pixels)
            save(replace(picture, metadata=painting.metadata), file)
        return file

    # -- several ------------------------------------------------------------------------------

    def panels(
        self,
        photo: str | Path,
        folder: str | Path,
        names: Sequence[str],
        *,
        scale: int,
        original: bool = False,
    ) -> Generator[Panel, None, None]:
        """One photo in several ways, at most 768 pixels long.

        Args:
            photo, folder: as for `paint`.
            names: models, or "bicubic".
            scale: 1, 2 or 4.
            original: the photo is what the results should be: it is reduced by `scale` first and
                they are measured against it. Otherwise it is enlarged.

        Yields:
            Each `Panel` as soon as it is done.
        """
        if scale not in (1, 2, 4):
            raise InputError(f"scale is 1, 2 or 4, got {scale!r}")
        self.measure(photo)
        source = decode(photo, max_pixels=self.max_input_pixels)
        size = source.height * scale, source.width * scale
        if original:
            size = source.height, source.width
        height, width = (max(scale, side // scale * scale) for side in fraction(size, PANEL_SIDE))
        truth = fit(source.pixels, (height, width)) if original else source.pixels
        small = Picture(fit(truth, (height // scale, width // scale)), gray=source.gray)
        for name in names:
            start = time.perf_counter()
            if name == BICUBIC:
                result = Picture(fit(small.pixels, (height, width)), gray=small.gray)
            else:
                work = self.pipeline.stream(small, style=name, scale=scale)
                result = drain(self._timed(work))
            seconds = time.perf_counter() - start
            file = Path(folder) / f"{name}-x{scale}.png"
            save(replace(result, metadata={} if name == BICUBIC else MARK), file)
            psnr = psnr_y(result.pixels, truth, crop=scale) if original else None
            yield Panel(name, file, height, width, seconds, psnr)

    def check_batch(self, photos: Sequence[str | Path], choices: Choices) -> float:
        """Megapixels that a batch will make, from the headers of those that can be read.

        Raises:
            InputError: too many pictures or too many pixels.
        """
        if not 0 < len(photos) <= self.max_batch:
            raise InputError(f"{len(photos)} pictures; at least 1, at most {self.max_batch}")
        total = 0
        for photo in photos:
            try:
                height, width = target_size(*self._measured(photo, choices))
            except ImageError:
                continue  # told when its turn comes
            total += height * width
        if total > self.max_output_pixels:
            raise InputError(
                f"together they make {total / 1e6:.1f} megapixels, more than "
                f"{self.max_output_pixels / 1e6:g}; take fewer, or a smaller factor"
            )
        return total / 1e6

    def _measured(self, photo: str | Path, choices: Choices) -> tuple[Size, float]:
        size = self.measure(photo)
        return size, self.scale(size, choices)

    def batch(
        self, photos: Sequence[str | Path], folder: str | Path, choices: Choices
    ) -> Generator[Progress, None, Batch]:
        """Paint several photos into one zip file; one that fails is left out and told.

        Args:
            photos: their files.
            folder, choices: as for `paint`.

        Yields:
            `Progress` in tiles of the picture being painted, as if each were of equal work.

        Raises:
            InputError: as `check_batch`, before work starts.
        """
        self.check_batch(photos, choices)
        start = time.perf_counter()
        folder = Path(folder)
        failed: list[tuple[str, str]] = []
        files: list[Path] = []
        for place, photo in enumerate(photos):
            inner = folder / str(place)
            inner.mkdir()
            work = self.paint(photo, inner, choices)
            try:
                while True:
                    step = next(work)
                    if isinstance(step, Progress):
                        yield _of_many(place, len(photos), step, time.perf_counter() - start)
            except StopIteration as end:
                files.append(end.value.file)
            except (ImageError, InputError) as error:
                failed.append((Path(photo).name, str(error)))
        archive = folder / "stylesr.zip"
        with zipfile.ZipFile(archive, "w") as file:  # PNG does not get smaller: stored
            for number, path in enumerate(files, 1):
                file.write(path, f"{number:02d}-{path.name}")
        seconds = time.perf_counter() - start
        return Batch(archive if files else None, len(files), tuple(failed), seconds)

    # -- films --------------------------------------------------------------------------------

    @property
    def has_films(self) -> bool:
        """Whether PyAV is installed, without which there are no films."""
        return find_spec("av") is not None

    @property
    def can_steady(self) -> bool:
        """Whether OpenCV is installed, without which strokes are not averaged along the motion."""
        return find_spec("cv2") is not None

    def film(
        self,
        clip: str | Path,
        folder: str | Path,
        choices: Choices,
        side: int,
        *,
        steady: bool = False,
    ) -> Generator[Progress, None, Footage]:
        """Paint the first seconds of a clip, at most as many pixels as a picture may have.

        Where that takes longer than `max_seconds` the result is shorter.

        Args:
            clip: its file.
            folder: an existing folder, into which the result is written.
            choices: as for `paint`; the factor follows from `side`.
            side: the longer side of the result in pixels, one of `FILM_SIDES`.
            steady: strokes are averaged along the clip's motion, so that they flicker less.

        Yields:
            `Progress` in frames.

        Raises:
            InputError: another side, or a choice out of range.
            VideoError: the clip cannot be read, or its frames are too large.
        """
        from stylesr import video

        if side not in FILM_SIDES:
            raise InputError(f"side is one of {', '.join(map(str, FILM_SIDES))}, got {side!r}")
        start = time.perf_counter()
        film = video.probe(clip, max_pixels=self.max_input_pixels)
        scale = min(side / max(film.size), MAX_SCALE)
        height, width = target_size(film.size, scale)
        most = min(film.rate * MAX_FILM_SECONDS, self.max_output_pixels / (height * width))
        options = self.options(film.size, replace(choices, scale=scale, width=None))
        plan = self.pipeline.plan(film.size, **options)
        file = Path(folder) / f"{_clean(clip)}-{choices.style}.mp4"
        mark = f"{MARK['Software']}, {MARK['DigitalSourceType']}"
        metadata = {"comment": mark, "description": self._description(plan, scale)}
        settings: dict[str, Any] = {"quality": FILM_QUALITY, "bits": 8, "metadata": metadata}
        settings |= {"frames": max(1, int(most)), "max_seconds": self.max_seconds}
        settings["smooth"] = FILM_SMOOTH if steady else 0
        for step in video.enhance(self.pipeline, clip, file, **settings, **options):
            yield Progress(step.done, step.total, time.perf_counter() - start)
        made = video.probe(file)
        length = made.frames / float(made.rate)
        seconds = time.perf_counter() - start
        ended = made.frames < int(most) and seconds < self.max_seconds
        whole = ended or made.frames == film.frames
        return Footage(file, *made.size, made.frames, length, whole, seconds)

    # -- small pictures -----------------------------------------------------------------------

    @cached_property
    def samples(self) -> dict[str, bytes]:
        """Thumbnails of the base and the styles, cut out of the previews that come with them.

        Nothing is painted. A model without a preview of the usual layout has none here.
        """
        found = {}
        for name, model in zip(self.names, self.models, strict=True):
            if name not in (self.names[0], *self.styles):
                continue
            for folder in (Path(model), bundled_folder() / model):
                with suppress(OSError, InputError):
                    square = sample(folder / PREVIEW_FILE, 1 if name == self.names[0] else 2)
                    small = square.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Resampling.LANCZOS)
                    small.save(file := BytesIO(), "WEBP", quality=85)
                    found[name] = file.getvalue()
                    break
        return found

    def thumbnail(self, photo: Source, name: str) -> bytes:
        """A square from the middle of `photo` as a model paints it: a WebP file."""
        small = square(decode(photo), THUMBNAIL_SIDE)
        painted = drain(self.pipeline.stream(small, style=name, scale=2))  # finer strokes
        return encode(square(painted, THUMBNAIL_SIDE), "webp", quality=85)


def _share(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InputError(f"{name} must be a number from 0 to 1, got {value!r}")
    return value


def _is_worth_a_sketch(size: Size, plan: Plan) -> bool:
    return plan.work > SKETCH_WORTH * SKETCH_SIDE**2 and plan.height * plan.width > SKETCH_SIDE**2


def _computing(plan: Plan) -> str:
    """The rate of what computes: a chain's other network has another one."""
    return f"compute {plan.enlarger}" if plan.enlarger else "compute"


def _of_many(place: int, count: int, step: Progress, seconds: float) -> Progress:
    return Progress(place * step.total + step.done, count * step.total, seconds)


def _save_for_screen(picture: Picture, size: Size, file: Path) -> None:
    save(for_screen(picture, size), file, quality=SCREEN_QUALITY)


def _file_name(photo: str | Path, choices: Choices, base: str, plan: Plan) -> str:
    """For example `cat-starry-night-x4.png`."""
    stem = _clean(photo)
    styles = [] if choices.style == base else [choices.style]
    if styles and choices.mix and choices.mix != choices.style:
        styles.append(choices.mix)
    if styles and choices.enlarger:
        styles.append(choices.enlarger)
    size = f"{plan.width}px" if choices.width else f"x{choices.scale:g}"
    return "-".join([stem, *styles, size]) + ".png"


def _clean(file: str | Path) -> str:
    """A file's name without its extension, of letters, digits and dashes."""
    return re.sub(r"[^\w-]+", "-", Path(file).stem).strip("-")[:60] or "photo"
