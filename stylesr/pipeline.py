"""`StyleSRPipeline`: picture in, enlarged and painted picture out.

The shape of a diffusers pipeline (loading, saving, `to`, progress bar) without any diffusion.
"""

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias, cast, get_args

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import BaseOutput
from PIL import Image
from torch import Tensor

from stylesr import tiling
from stylesr.blending import check_strength, normalised, weighted_sum
from stylesr.colors import Recolor
from stylesr.errors import InputError, ModelError
from stylesr.hub import short_name
from stylesr.images import Source, check, decode
from stylesr.loading import (
    check_bases,
    check_enlarger,
    check_name,
    check_painter,
    load_models,
    save_models,
)
from stylesr.memory import enough_memory
from stylesr.models.adain_net import AdaINNet, Statistics, mixed
from stylesr.models.base import Generator as Net
from stylesr.models.base import check_range
from stylesr.models.stylesr_net import TRUNK, StyleSRNet
from stylesr.passes import (
    BORDER,
    BRUSHES,
    Pass,
    Size,
    chain_passes,
    check_whole,
    count_pixels,
    count_tiles,
    default_brush,
    photo_passes,
    run_pass,
    style_passes,
    target_size,
)
from stylesr.picture import Array, Picture, to_array, to_pil
from stylesr.resample import resize

__all__ = ["Plan", "Progress", "StyleSRPipeline", "StyleSRPipelineOutput", "open_mix"]

Shift: TypeAlias = tuple[float, float]  # down and right
Style: TypeAlias = str | Mapping[str, float] | None
Shown: TypeAlias = Source | Picture | Sequence[Source | Picture] | Statistics | None
Color: TypeAlias = Literal["style", "photo", "palette"]
OutputType: TypeAlias = Literal["pil", "np", "pt"]

MAX_OUTPUT_PIXELS = 256_000_000
CACHED_BLENDS = 4
CACHED_STYLES = 16
STYLE_SIDE = 1024  # longest side at which a style image is read: strokes end about as large
LEAST_STYLE = 64
LEAST = 8  # of a long one, reduced


@dataclass
class StyleSRPipelineOutput(BaseOutput):  # type: ignore[misc]
    """What the pipeline returns.

    Attributes:
        images: one result for each input: PIL images, arrays or tensors, by `output_type`.
    """

    images: list[Any]


@dataclass(frozen=True)
class Progress:
    """How far a run is: `done` of `total` tiles over all its passes, after `seconds`."""

    done: int
    total: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """What a run will do, known before it starts.

    Attributes:
        height, width: of the output.
        tiles: how many will be computed in all.
        work: output pixels that networks will compute, borders included; the time goes by it.
        brush, color: those that will be used; 1 and "style" where nothing is painted.
        seed, tile_size: as asked for.
        paints: whether a style takes part, and not photo models alone.
        weights: of each loaded network in the blended one.
        strength: of a style that is shown as a picture; other strengths are part of the weights.
        enlarger: name of the network that enlarges what was painted; empty where no chain was
            asked for.
        passes: the runs of networks that make the picture.
        photo_passes: those that enlarge it unpainted, for `color`.
    """

    height: int
    width: int
    tiles: int
    work: int
    brush: int
    color: Color
    seed: int
    tile_size: int | None
    paints: bool
    weights: tuple[tuple[str, float], ...]
    strength: float
    enlarger: str
    passes: tuple[Pass, ...]
    photo_passes: tuple[Pass, ...]


class StyleSRPipeline(DiffusionPipeline):  # type: ignore[misc]
    """Enlarge pictures and paint them in a style, in one pass.

    Example:
        >>> pipe = StyleSRPipeline.from_pretrained("starry-night")  # doctest: +SKIP
        >>> image = pipe("cat.jpg", scale=4, strength=0.8).images[0]  # doctest: +SKIP

    Args:
        photo: the base network, which enlarges without painting. Networks given here are used as
            they are, set to eval mode and to channels_last, which is faster.
        styles: networks trained from it, by name; the first one is the default.
        base_name: the base's name, under which it can be asked for and is saved.
        max_output_pixels: larger results are refused before work starts.
        enlargers: other networks that enlarge and can be asked for by name, such as an `SRCNN`;
            the base can be one too, and then there are no styles of it.
        painters: other networks that paint, and blend with nothing: an `AdaINNet`, which takes any
            picture as its style (`any_style` has the names of these), or one that keeps a picture's
            size, such as a `TransformerNet`; what that paints is enlarged by the base, or by the
            enlarger that is asked for.

    Raises:
        InputError: a name that cannot be a folder's name, or two of the same.
        ModelError: a style was trained from another base, an enlarger paints or reads the whole
            picture, or a painter does not keep the size.
    """

    def __init__(
        self,
        photo: Net,
        styles: Mapping[str, StyleSRNet] | None = None,
        base_name: str = "photo",
        max_output_pixels: int = MAX_OUTPUT_PIXELS,
        enlargers: Mapping[str, Net] | None = None,
        painters: Mapping[str, Net] | None = None,
    ) -> None:
        super().__init__()
        self._nets: dict[str, Net] = {base_name: photo}
        others = (styles or {}, painters or {}, enlargers or {})
        for name, net in (pair for group in others for pair in group.items()):
            if name in self._nets:
                raise InputError(f"a style cannot have the base's name, {name!r}")
            self._nets[name] = net
        for name, net in {base_name: photo, **(enlargers or {})}.items():
            if not isinstance(photo, StyleSRNet) or name != base_name:
                check_enlarger(name, net)
        for name, net in (painters or {}).items():
            if not isinstance(net, AdaINNet):
                check_painter(name, net)
        for name, net in self._nets.items():
            check_name(name)
            net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        check_bases(base_name, photo, styles or {})
        self.base_name = base_name
        self.max_output_pixels = max_output_pixels
        self.enlargers = list(enlargers or {})
        self.any_style = [k for k, net in (painters or {}).items() if isinstance(net, AdaINNet)]
        self.painters = [name for name in painters or {} if name not in self.any_style]
        self._shown: dict[object, Statistics] = {}
        self._blends: dict[object, Net] = {}
        self.register_modules(photo=photo)  # diffusers knows the base; `to` moves the styles along

    @property
    def styles(self) -> list[str]:
        """Names of the loaded styles, the default first.

        Neither what only enlarges nor what needs a style image is among them.
        """
        others = (self.base_name, *self.enlargers, *self.any_style)
        return [name for name in self._nets if name not in others]

    @property
    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of each network's weights, by name."""
        return {name: net.fingerprint() for name, net in self._nets.items()}

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move or convert all networks, as `torch.nn.Module.to` does; returns the pipeline."""
        super().to(*args, **kwargs)
        for net in self._nets.values():
            net.to(self.photo.device, self.photo.dtype)
        return self

    # -- on disk ------------------------------------------------------------------------------

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path | Sequence[str | Path],
        *,
        revision: str | None = None,
        map_location: str | torch.device = "cpu",
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        token: str | bool | None = None,
        max_output_pixels: int = MAX_OUTPUT_PIXELS,
    ) -> Self:
        """Load one or several models and the base they were trained from.

        Args:
            pretrained_model_name_or_path: a released model's name, a local folder, a Hub id, or a
                list of these; or a folder that `save_pretrained` wrote. In the pipeline a model
                goes by the last part of its name. A base that is not in the list is found by the
                name in the style's config.
            revision: branch, tag or commit of the named models, where they are from the Hub; or
                one each, as in "user/my-style@v2". A commit that is in the cache needs no network.
            map_location: device to load onto.
            cache_dir, force_download, local_files_only, token: as in huggingface_hub.
            max_output_pixels: as in the constructor.

        Raises:
            InputError: no name, or two models of the same name.
            ModelError: a model is missing, corrupt, or of another base.
        """
        given = pretrained_model_name_or_path
        sources = [given] if isinstance(given, str | Path) else given
        load = partial(
            Net.from_pretrained,
            map_location=map_location,
            cache_dir=cache_dir,
            force_download=force_download,
            local_files_only=local_files_only,
            token=token,
        )
        base_name, nets = load_models([str(s) for s in sources], revision, load)
        photo = nets.pop(base_name)
        styles = {name: net for name, net in nets.items() if isinstance(net, StyleSRNet)}
        painters = {k: net for k, net in nets.items() if net.paints and k not in styles}
        enlargers = {k: net for k, net in nets.items() if k not in (*styles, *painters)}
        return cls(photo, styles, base_name, max_output_pixels, enlargers, painters)

    def save_pretrained(self, save_directory: str | Path) -> None:
        """Write a folder with a subfolder for each model, for `from_pretrained`.

        Raises:
            ModelError: the networks were converted from float32, which a style's tie to its base
                does not survive.
        """
        save_models(Path(save_directory), self.base_name, self._nets)

    def push_to_hub(self, *args: Any, **kwargs: Any) -> None:
        """Not offered: on the Hub a style is a model of its own.

        Raises:
            ModelError: always.
        """
        raise ModelError("push each model by itself; a pipeline loads them by their Hub ids")

    # -- pictures -----------------------------------------------------------------------------

    def __call__(
        self,
        image: Source | Picture | Sequence[Source | Picture],
        style: Style = None,
        scale: float = 4,
        strength: float = 1.0,
        brush: int | None = None,
        seed: int = 0,
        color: Color = "style",
        tile_size: int | None = None,
        output_type: OutputType = "pil",
        style_image: Shown = None,
        style_weights: Sequence[float] | None = None,
        enlarger: str | None = None,
    ) -> StyleSRPipelineOutput:
        """Enlarge and paint one picture or a list of them.

        Args:
            image: a path, the bytes of a file, a PIL image, an array, a `Picture`, or a list.
            style: a loaded style's name, a mix such as `{"dots": 0.7, "waves": 0.3}`, or None for
                the first loaded style (plain enlargement where there is none). The name of the
                base or of an enlarger asks for plain enlargement by it, a mix of enlargers of one
                kind and size for their weighted sum: of a pair that differ in how much noise they
                remove, that sets how much.
            scale: any factor above 0 and up to 8. The result is H·scale × W·scale pixels, each
                rounded half up.
            strength: 0 for `photo`, 1 for the style, up to 1.5 for more of it.
            brush: 1, 2 or 4: paint at the result's size divided by this and let `photo` enlarge
                the rest. None keeps strokes about the same size relative to the picture. Without
                a style it has no meaning.
            seed: of the style's variation, 0 to 2**32 - 1.
            color: "style"; "photo" for the photo's colours under the painting's light and dark;
                "palette" for the photo's drawing in the painting's colours.
            tile_size: side of a tile in output pixels, a multiple of 4 from 64 to 16384; less
                needs less memory and more time. None takes 1120, and one tile up to 1536².
            output_type: "pil"; "np" for arrays (H, W, C); "pt" for tensors (C, H, W). The latter
                are float32 in [0, 1]; C is 3, or 4 with alpha.
            style_image: a picture to paint like, for a network that takes any (`any_style`), or a
                list of them, or what `read_style` gave; `style` is then that network's name, or
                None for the first one.
            style_weights: how much of each style image; None for all alike.
            enlarger: a chain: the style paints at the picture's own size (or at the brush's), and
                this loaded network, the base or an enlarger, makes that larger. None leaves it to
                the style itself, or to the base where the style keeps the size.

        Returns:
            An object whose `images` is a list with a result for each picture.

        Raises:
            InputError: an argument out of range, before work starts.
            ImageError: a picture that cannot be read.
            OutOfMemory: there is not enough memory.
        """
        if output_type not in get_args(OutputType):
            raise InputError(f"output_type must be pil, np or pt, got {output_type!r}")
        many = isinstance(image, list | tuple)
        pictures = cast(Sequence[Source | Picture], image if many else [image])
        if not pictures:
            raise InputError("there is no picture in the list")
        options: dict[str, Any] = {
            "style": style,
            "scale": scale,
            "strength": strength,
            "brush": brush,
            "seed": seed,
            "color": color,
            "tile_size": tile_size,
            "style_image": style_image,
            "style_weights": style_weights,
            "enlarger": enlarger,
        }
        plans = [self.plan(_size(picture), **options) for picture in pictures]
        results = []
        with self.progress_bar(total=sum(plan.tiles for plan in plans)) as bar:
            for picture in pictures:
                work = self.stream(picture, **options)
                results.append(_output(tiling.drain(work, lambda _: bar.update()), output_type))
        return StyleSRPipelineOutput(images=results)

    def stream(
        self,
        image: Source | Picture,
        style: Style = None,
        scale: float = 4,
        strength: float = 1.0,
        brush: int | None = None,
        seed: int = 0,
        color: Color = "style",
        tile_size: int | None = None,
        style_image: Shown = None,
        style_weights: Sequence[float] | None = None,
        enlarger: str | None = None,
        drift: Shift = (0, 0),
    ) -> Generator[Progress, None, Picture]:
        """Enlarge and paint one picture step by step; close the generator to stop.

        Arguments and errors are those of `__call__`, and one more. Bad ones are refused at once,
        not at the first step.

        Args:
            drift: for a film's frame: how far its window on the scene has moved down and right, in
                pixels of the result. Noise and the network's grid are shifted by as much, so that
                strokes stay on what they are painted on.

        Yields:
            `Progress` after each tile. Nothing is yielded where no network runs, that is for
            plain reduction.

        Returns:
            The result, as the generator's value.
        """
        plan = self.plan(
            _size(image),
            style,
            scale,
            strength,
            brush,
            seed,
            color,
            tile_size,
            style_image,
            style_weights,
            enlarger,
        )
        shown: Statistics | None = None
        if style_image is not None or style_weights is not None:
            shown = self.read_style(style_image, style_weights, style)
        picture = image if isinstance(image, Picture) else decode(image)
        return self._stream(picture, plan, shown, drift)

    def plan(
        self,
        size: Size,
        style: Style = None,
        scale: float = 4,
        strength: float = 1.0,
        brush: int | None = None,
        seed: int = 0,
        color: Color = "style",
        tile_size: int | None = None,
        style_image: Shown = None,
        style_weights: Sequence[float] | None = None,
        enlarger: str | None = None,
    ) -> Plan:
        """Check the arguments and say what a run on a picture of `size` (height, width) will do.

        Style images are not looked at, other than whether there are any.

        Raises:
            InputError: an argument is out of range or the result would be too large.
        """
        if style_image is None:
            weights = self._weights(style, check_strength(strength))
        else:
            name = self._painter(style) if check_strength(strength) else self.base_name
            weights = ((name, 1.0),)
        if brush is not None and (type(brush) is not int or brush not in BRUSHES):
            raise InputError(f"brush must be 1, 2, 4 or None, got {brush!r}")
        check_range("seed", seed, 0, 2**32 - 1)
        if color not in get_args(Color):
            raise InputError(f"color must be style, photo or palette, got {color!r}")
        if tile_size is not None and check_range("tile_size", tile_size, 64, 16384) % TRUNK:
            raise InputError(f"tile_size must be a multiple of {TRUNK}, got {tile_size}")
        target = target_size(size, scale)
        if target[0] * target[1] > self.max_output_pixels:
            raise InputError(
                f"scale {scale} makes {size[1]}×{size[0]} pixels {target[1]}×{target[0]}, more "
                f"than the {self.max_output_pixels:,} allowed; take a smaller scale or picture"
            )
        if enlarger is not None and enlarger not in (self.base_name, *self.enlargers):
            known = ", ".join([self.base_name, *self.enlargers])
            raise InputError(f"enlarger {enlarger!r} is not loaded as one, only {known}")
        unpainted = photo_passes(size, target, self.photo.scales)
        paints = any(self._nets[name].paints for name, _ in weights)
        chained = ""
        if not paints and enlarger is not None:
            chained, brush, color = enlarger, 1, "style"
            passes = photo_passes(size, target, self._nets[enlarger].scales, "enlarger")
        elif weights == ((self.base_name, 1.0),):  # nothing is painted
            brush, color, passes = 1, "style", unpainted
        elif {name for name, _ in weights} <= {self.base_name, *self.enlargers}:
            scales = self._nets[weights[0][0]].scales
            brush, color, passes = 1, "style", photo_passes(size, target, scales, "style")
        elif enlarger is not None or weights[0][0] in self.painters:
            chained = enlarger or self.base_name
            border = 0 if weights[0][0] in self.painters else BORDER
            scales = self._nets[chained].scales
            passes = chain_passes(size, target, brush, scales, border)
            check_whole(weights[0][0], self._nets[weights[0][0]], passes)
            brush = brush or 1
        else:
            brush = brush or (default_brush(target) if paints else 1)
            passes = style_passes(size, target, brush, BORDER if paints else 0)
        extra = () if color == "style" else unpainted
        names = {"photo": self.base_name, "style": weights[0][0], "enlarger": chained}
        runs = [(self._nets[names[step.network]], step) for step in (*passes, *extra)]
        return Plan(
            *target,
            tiles=sum(count_tiles(net, step, tile_size) for net, step in runs),
            work=sum(count_pixels(net, step) for net, step in runs),
            brush=brush,
            color=color,
            seed=seed,
            tile_size=tile_size,
            paints=paints,
            weights=weights,
            strength=float(strength),
            enlarger=chained,
            passes=passes,
            photo_passes=extra,
        )

    def _weights(self, style: Style, strength: float) -> tuple[tuple[str, float], ...]:
        """Name and weight of each network that is part of the painting one."""
        if style is None:
            style = next(iter((*self.styles, *self.any_style)), self.base_name)
        mix = {style: 1.0} if isinstance(style, str) else style
        if not isinstance(mix, Mapping):
            raise InputError(f"style must be a name, a mix {{name: weight}} or None, got {style!r}")
        enlargers = {self.base_name, *self.enlargers}
        for name in mix:
            if name not in self._nets:
                raise InputError(f"style {name!r} is not loaded, only {', '.join(self._nets)}")
            if name in self.enlargers and not set(mix) <= enlargers:
                raise InputError(f"{name!r} only enlarges: it is not mixed with what paints")
            if name in self.any_style:
                raise InputError(f"{name!r} paints like a picture that it is shown: style_image")
            if name in self.painters and (len(mix) > 1 or strength not in (0, 1)):
                raise InputError(
                    f"{name!r} is a {type(self._nets[name]).__name__}, which blends with nothing: "
                    "ask for it alone, with strength 1"
                )
        shares = normalised(mix)
        if set(mix) <= enlargers and (len(mix) > 1 or self.base_name not in mix):
            self._check_alike(list(mix))
            return tuple(sorted(shares.items()))
        shares = {name: strength * share for name, share in shares.items()}
        weights = sorted((k, w) for k, w in shares.items() if w != 0 and k != self.base_name)
        if not weights:
            return ((self.base_name, 1.0),)
        rest = shares.get(self.base_name, 0) + (1 - strength)
        return (*weights, (self.base_name, rest)) if rest != 0 else tuple(weights)

    def _check_alike(self, names: Sequence[str]) -> None:
        """Raise InputError unless these networks can be added up."""
        first, *others = (self._nets[name] for name in names)
        for net in others:
            if type(net) is not type(first) or net.config != first.config:
                raise InputError(
                    f"{' and '.join(map(repr, names))} are networks of different kinds or sizes: "
                    "ask for one of them, not for a mix"
                )

    def _painter(self, style: Style) -> str:
        """The network that takes style images."""
        if not self.any_style:
            raise InputError(
                "style_image is for a network that takes any picture as its style (AdaINNet), "
                "of which none is loaded; train/any_style.py trains one"
            )
        name = self.any_style[0] if style is None else style
        if name not in self.any_style:
            raise InputError(
                f"with a style_image, style is one of {', '.join(self.any_style)}, got {style!r}"
            )
        return name

    @torch.inference_mode()
    def read_style(
        self,
        style_image: Shown,
        style_weights: Sequence[float] | None = None,
        style: Style = None,
    ) -> Statistics:
        """Read style images once, to paint many pictures like them.

        Arguments are those of `__call__`. Images are read at a longest side of at most 1024.

        Raises:
            InputError: no image, one with a side below 64 pixels, or weights that do not fit.
            ImageError: one cannot be read.
        """
        name = self._painter(style)
        if isinstance(style_image, Statistics):
            if style_weights is not None:
                raise InputError("style_weights are for style images, these are read already")
            return style_image
        many = isinstance(style_image, list | tuple)
        images = cast("Sequence[Source | Picture]", style_image if many else [style_image])
        if style_image is None or not images:
            raise InputError("there is no style image")
        weights = [1.0] * len(images) if style_weights is None else list(style_weights)
        if len(weights) != len(images):
            raise InputError(f"{len(weights)} style_weights for {len(images)} style images")
        shares = normalised(dict(enumerate(weights)))
        return mixed([self._read(images[k], name) for k in shares], list(shares.values()))

    def _read(self, image: Source | Picture, name: str) -> Statistics:
        """Statistics of a style image; the last few files are kept, for films and folders."""
        net = cast(AdaINNet, self._nets[name])
        height, width = _size(image)
        if min(height, width) < LEAST_STYLE:
            raise InputError(
                f"a style image needs sides of at least {LEAST_STYLE} pixels, got {width}×{height}"
            )
        key: object = None
        if isinstance(image, str | Path):
            key = (name, net.device, net.dtype, str(image), Path(image).stat().st_mtime_ns)
        if key is None or key not in self._shown:
            picture = image if isinstance(image, Picture) else decode(image)
            reduce = max(1.0, max(height, width) / STYLE_SIDE)
            size = (max(LEAST, round(height / reduce)), max(LEAST, round(width / reduce)))
            pixels = _fit(picture.pixels[None], size).to(net.device, net.dtype)
            read = net.read(pixels.contiguous(memory_format=torch.channels_last))
            if key is None:
                return read
            self._shown[key] = read
            while len(self._shown) > CACHED_STYLES:
                self._shown.pop(next(iter(self._shown)))
        return self._shown[key]

    def _network(self, weights: tuple[tuple[str, float], ...]) -> Net:
        """The weighted sum of loaded networks; the last few are kept."""
        if len(weights) == 1 and weights[0][1] == 1:
            return self._nets[weights[0][0]]
        key = (weights, self.photo.device, self.photo.dtype)
        net = self._blends.pop(key, None)
        if net is None:
            net = weighted_sum({self._nets[name]: weight for name, weight in weights})
        self._blends[key] = net
        while len(self._blends) > CACHED_BLENDS:
            self._blends.pop(next(iter(self._blends)))
        return net

    def _stream(
        self,
        picture: Picture,
        plan: Plan,
        shown: Statistics | None = None,
        drift: Shift = (0, 0),
    ) -> Generator[Progress, None, Picture]:
        start = time.perf_counter()
        work = self._work(picture, plan, shown, drift)
        done = 0
        while True:
            try:
                with enough_memory():
                    next(work)
            except StopIteration as end:
                return cast(Picture, end.value)
            done += 1
            yield Progress(done, plan.tiles, time.perf_counter() - start)

    def _work(
        self, picture: Picture, plan: Plan, shown: Statistics | None, drift: Shift
    ) -> Generator[object, None, Picture]:
        """Run the passes and finish the picture; yields after each tile."""
        pixels = picture.pixels[None]
        colourless = picture.gray or _is_gray(pixels)  # of a gray picture in RGB too
        result = yield from self._run(pixels, plan.passes, plan, shown, drift)
        if plan.color != "style":
            recolor = Recolor(plan.color).take(result)
            del result  # a large one is not held beside the other
            result = yield from self._run(pixels, plan.photo_passes, plan, None, drift)
            if not plan.photo_passes:
                result = result.clone()  # it may be the caller's own
            result = recolor.give(_grayed(result) if colourless else result)
        keeps_colours = not plan.paints or plan.color == "photo"
        if colourless and keeps_colours:
            result = _grayed(result)
        alpha = picture.alpha
        if alpha is not None:
            alpha = resize(alpha[None], (plan.height, plan.width))[0].clamp(0, 1)
        return replace(picture, pixels=result[0], alpha=alpha, gray=picture.gray and keeps_colours)

    def _run(
        self,
        pixels: Tensor,
        passes: Sequence[Pass],
        plan: Plan,
        shown: Statistics | None,
        drift: Shift,
    ) -> Generator[object, None, Tensor]:
        """One pass after the other, and the output's size at the end; yields after each tile."""
        for step in passes:
            if step.network == "style":
                net = self._network(plan.weights)
            else:
                net = self.photo if step.network == "photo" else self._nets[plan.enlarger]
            pixels = _fit(pixels, step.source)
            place = (
                round(drift[0] * step.source[0] / plan.height),
                round(drift[1] * step.source[1] / plan.width),
            )
            pixels = yield from run_pass(
                net,
                pixels,
                step,
                seed=plan.seed,
                tile_size=plan.tile_size,
                style=shown,
                strength=plan.strength,
                place=place,
            )
        return _fit(pixels, (plan.height, plan.width))


# -- pictures in and out ----------------------------------------------------------------------


def open_mix(
    models: Mapping[str, float], enlarger: str | None = None
) -> tuple[StyleSRPipeline, dict[str, Any]]:
    """A pipeline of models, and the options to ask it with.

    Args:
        models: released names, folders or Hub ids with their weights.
        enlarger: another, that enlarges what they paint.
    """
    mix = {short_name(name): weight for name, weight in models.items()}
    sources = list(dict.fromkeys([*models, enlarger] if enlarger else models))
    options: dict[str, Any] = {"style": mix if len(mix) > 1 else None}
    if enlarger:
        options["enlarger"] = short_name(enlarger)
    return StyleSRPipeline.from_pretrained(sources), options


def _size(image: Source | Picture) -> Size:
    """Height and width, for a file from its header."""
    return (image.height, image.width) if isinstance(image, Picture) else check(image)


def _output(picture: Picture, output_type: OutputType) -> Image.Image | Array | Tensor:
    if output_type == "pil":
        return to_pil(picture)
    if output_type == "np":
        return to_array(picture)
    return picture.pixels if picture.alpha is None else torch.cat([picture.pixels, picture.alpha])


def _fit(image: Tensor, size: Size) -> Tensor:
    return image if image.shape[-2:] == size else resize(image, size).clamp_(0, 1)


def _is_gray(image: Tensor) -> bool:
    return all(torch.equal(image[:, 0], image[:, channel]) for channel in (1, 2))


def _grayed(image: Tensor) -> Tensor:
    return image.mean(1, keepdim=True).repeat(1, 3, 1, 1)
