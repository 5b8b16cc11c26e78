"""The tab Create: one photo, enlarged and painted."""

import base64
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr

from stylesr.errors import ImageError, InputError, StyleSRError
from stylesr.page.parts import (
    EXAMPLES,
    HEAVY,
    LIGHT,
    MAX_FILE_MB,
    PRIVATE,
    QUICK,
    Site,
    Spoken,
    bar,
    chosen,
    ended,
    first_style,
    friendly,
    refusal,
    running,
    uploaded,
    verdicts,
)
from stylesr.page.words import ENGLISH, Words, words
from stylesr.pipeline import Progress
from stylesr.studio import BICUBIC, TWO_STAGES, Choices, Painting, Sketch, Studio
from stylesr.tiling import drain

__all__ = ["Create", "build"]

BRUSHES = ("auto", "1", "2", "4")
FORMATS = ("png", "webp", "jpeg")

SHOW_RESULT = """
() => setTimeout(() =>
  document.querySelector("#result").scrollIntoView({behavior: "smooth", block: "nearest"}), 300)
"""


@dataclass
class Inputs:
    """What the visitor sets."""

    photo: gr.Image
    thumbnails: gr.HTML
    style: gr.Radio
    scale: gr.Radio
    width: gr.Number
    strength: gr.Slider
    detail: gr.Slider
    more: gr.Accordion
    mix: gr.Dropdown
    share: gr.Slider
    brush: gr.Radio
    color: gr.Radio
    seed: gr.Slider

    @property
    def choices(self) -> list[Any]:
        """In the order of `parts.chosen`."""
        return [
            self.style,
            self.mix,
            self.share,
            self.scale,
            self.width,
            self.strength,
            self.detail,
            self.brush,
            self.color,
            self.seed,
        ]


@dataclass
class Outputs:
    """What the visitor gets."""

    size: gr.HTML
    start: gr.Button
    stop: gr.Button
    status: gr.HTML
    result: gr.Column
    options: gr.Row
    slider: gr.ImageSlider
    before: gr.Image
    after: gr.Image
    other: gr.Dropdown
    format: gr.Radio
    download: gr.DownloadButton
    done: gr.State


def build(studio: Studio, spoken: Spoken, language: gr.Radio, site: Site) -> "Create":
    """Lay the tab out and wire it; to be called inside of it."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            inputs = lay_out_inputs(studio, spoken)
        with gr.Column(scale=8, min_width=320, elem_id="output"):
            outputs = lay_out_outputs(studio, spoken)
    create = Create(studio, inputs, outputs, site)
    wire(create, language)
    return create


# -- layout -----------------------------------------------------------------------------------


def lay_out_inputs(studio: Studio, spoken: Spoken) -> Inputs:
    """Photo, style and options."""
    base, styles = studio.names[0], studio.styles
    paints = first_style(studio) != base
    photo = spoken(
        gr.Image,
        lambda w: {"label": w.photo, "placeholder": w.drop},
        type="filepath",
        format="png",
        sources=["upload", "clipboard", "webcam"],
        height=210,
        buttons=["fullscreen"],
        elem_id="photo",
    )
    spoken(gr.HTML, lambda w: {"value": limits(studio, w)}, elem_classes="fine-print")
    examples = gr.Examples(
        EXAMPLES, photo, label=ENGLISH.try_one, preload=False, elem_id="examples"
    )
    spoken.follow(examples.dataset, lambda w: {"label": w.try_one})
    thumbnails = gr.HTML(elem_id="thumbnails")
    style = spoken(
        gr.Radio,
        lambda w: {
            "label": w.style,
            "choices": [(w.way_name(base), base), *((w.style_name(s), s) for s in styles)],
        },
        value=first_style(studio),
        elem_id="styles",
    )
    scale = spoken(
        gr.Radio,
        lambda w: {
            "label": w.enlarge,
            "choices": [(w.same_size, "1"), ("2×", "2"), ("4×", "4"), (w.width_choice, "width")],
        },
        value="4",
        elem_id="scale",
    )
    width = spoken(
        gr.Number, lambda w: {"label": w.width}, value=2048, precision=0, minimum=16, visible=False
    )
    strength = spoken(
        gr.Slider,
        lambda w: {"label": w.strength},
        minimum=0,
        maximum=1.5,
        value=1,
        step=0.05,
        visible=paints,
    )
    detail = spoken(
        gr.Slider,
        lambda w: {"label": w.detail, "info": w.detail_info},
        minimum=0,
        maximum=1,
        value=0,
        step=0.05,
        visible=not paints and studio.has_detail,
    )
    with spoken(gr.Accordion, lambda w: {"label": w.more}, open=False, visible=paints) as more:
        mix = spoken(
            gr.Dropdown,
            lambda w: {
                "label": w.mix,
                "choices": [(w.mix_none, ""), *((w.style_name(s), s) for s in styles)],
            },
            value="",
            elem_id="mix",
        )
        share = spoken(
            gr.Slider,
            lambda w: {"label": w.share},
            minimum=0,
            maximum=1,
            value=0.5,
            step=0.05,
            visible=False,
        )
        brush = spoken(
            gr.Radio,
            lambda w: {
                "label": w.brush,
                "choices": list(zip(w.brushes, BRUSHES, strict=True)),
            },
            value="auto",
        )
        color = spoken(
            gr.Radio,
            lambda w: {
                "label": w.colors,
                "info": w.colors_info,
                "choices": list(zip(w.color_names, ("style", "photo", "palette"), strict=True)),
            },
            value="style",
        )
        seed = spoken(
            gr.Slider, lambda w: {"label": w.variation}, minimum=0, maximum=99, value=0, step=1
        )
    return Inputs(
        photo,
        thumbnails,
        style,
        scale,
        width,
        strength,
        detail,
        more,
        mix,
        share,
        brush,
        color,
        seed,
    )


def lay_out_outputs(studio: Studio, spoken: Spoken) -> Outputs:
    """The buttons, what they will make and how far it is; below, the result."""
    with gr.Column(elem_id="action"):
        with gr.Row():
            size = gr.HTML(ENGLISH.choose, elem_id="size")
            start = spoken(
                gr.Button,
                lambda w: {"value": w.paint},
                variant="primary",
                interactive=False,
                scale=0,
                elem_id="start",
            )
            stop = spoken(
                gr.Button, lambda w: {"value": w.stop}, visible=False, scale=0, elem_id="stop"
            )
        status = gr.HTML(elem_id="status")
    with gr.Column(visible=False, elem_id="result") as result:
        with gr.Tabs():
            with spoken(gr.Tab, lambda w: {"label": w.slider}):
                slider = gr.ImageSlider(
                    label=" ", format="png", max_height=620, buttons=["fullscreen"]
                )
            with spoken(gr.Tab, lambda w: {"label": w.side_by_side}), gr.Row():
                before, after = (
                    gr.Image(
                        label=" ",
                        format="png",
                        interactive=False,
                        buttons=["fullscreen"],
                        min_width=280,
                    )
                    for _ in range(2)
                )
        with gr.Row(visible=False, elem_id="after") as options:
            others = [BICUBIC, studio.names[0], TWO_STAGES, *studio.styles]
            other = spoken(
                gr.Dropdown,
                lambda w: {
                    "label": w.compare_with,
                    "choices": [(w.way_name(name), name) for name in others],
                },
                value=BICUBIC,
                min_width=180,
                elem_id="other",
            )
            format = spoken(
                gr.Radio,
                lambda w: {
                    "label": w.format,
                    "choices": list(zip(w.formats, FORMATS, strict=True)),
                },
                value="png",
                min_width=260,
                elem_id="format",
            )
        download = gr.DownloadButton(visible=False, elem_id="download")
    return Outputs(
        size,
        start,
        stop,
        status,
        result,
        options,
        slider,
        before,
        after,
        other,
        format,
        download,
        gr.State(),
    )


# -- wiring -----------------------------------------------------------------------------------


def wire(create: "Create", language: gr.Radio) -> None:
    """Say which answer follows which of the visitor's actions."""
    i, o = create.inputs, create.outputs
    asked = [i.photo, *i.choices]
    buttons = [o.start, o.stop, o.status]
    shown = [o.status, o.result, o.slider, o.before, o.after]
    result = [*shown, o.options, o.other, o.format, o.download, o.done]

    gr.on(
        [i.photo.change, language.change, *(choice.change for choice in i.choices)],
        create.look,
        [*asked, language],
        [i.photo, o.size, o.start],
        trigger_mode="always_last",
        **LIGHT,
    )
    language.change(
        create.speak, [o.done, language], [o.slider, o.before, o.after, o.download], **QUICK
    )
    gr.on(
        [i.style.change, i.mix.change, i.scale.change, language.change],
        create.choose,
        [i.style, i.mix, i.scale, language],
        [i.strength, i.detail, i.more, i.share, i.width, o.start],
        **QUICK,
    )
    begun = o.start.click(create.begin, [*asked, language], buttons, **LIGHT)
    begun.success(None, js=SHOW_RESULT)
    run = begun.success(
        create.paint,
        [*asked, language],
        result,
        validator=create.valid,
        api_visibility="private",
        **HEAVY,
    )
    run.success(create.end, None, buttons[:2], **QUICK)
    run.failure(create.halt, language, buttons, **QUICK)
    compared = o.other.input(
        create.compare, [o.done, o.other, language], shown, api_visibility="private", **HEAVY
    )
    o.format.input(create.convert, [o.done, o.format, language], o.download, **PRIVATE)
    o.stop.click(create.halt, language, buttons, cancels=[run, compared], **QUICK)
    gr.on(
        [],
        create.enhance,
        [*asked, o.format, language],
        gr.File(visible=False),
        validator=create.valid_call,
        api_name="enhance",
        **HEAVY,
    )
    gr.on(
        [],
        create.estimate,
        [*asked, language],
        gr.JSON(visible=False),
        preprocess=False,
        concurrency_limit=4,
        api_name="estimate",
    )


class Create:
    """What the tab does on a visitor's actions.

    Photos come unprocessed, as a dictionary with the path of the upload, and so do all values that
    come with one: one that is not among the choices is refused by the pipeline, with its reason.
    """

    def __init__(self, studio: Studio, inputs: Inputs, outputs: Outputs, site: Site) -> None:
        self.studio, self.inputs, self.outputs, self.site = studio, inputs, outputs, site
        self.folder = TemporaryDirectory(prefix="stylesr-")  # of the example, gone with the page
        self.thumbnails: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def welcome(self, language: str) -> Iterator[dict[Any, Any]]:
        """Before the first photo: a picture painted by one style, and thumbnails of all."""
        say, o = words(language), self.outputs
        with friendly(say):
            with self._lock:  # made once, whoever comes first
                painting = self._example
            pair = self._pair(painting.before, painting.after, say, say.photo_enlarged)
            files = str(painting.before), str(painting.after)
            yield pair | {o.slider: gr.ImageSlider(files, label=self._example_label(say))}
            for name in [self.studio.names[0], *self.studio.styles]:
                with self._lock:
                    if new := name not in self.thumbnails:
                        self.thumbnails[name] = self.studio.thumbnail(EXAMPLES[0], name)
                if new:
                    yield {self.inputs.thumbnails: thumbnail_css(self.thumbnails)}
            yield {self.inputs.thumbnails: thumbnail_css(self.thumbnails)}

    @cached_property
    def _example(self) -> Painting:
        order = Choices(self.inputs.style.value)
        return drain(self.studio.paint(EXAMPLES[0], self.folder.name, order))

    def _example_label(self, say: Words) -> str:
        return say.example.format(style=say.style_name(self.inputs.style.value))

    def speak(self, done: tuple[str, Choices, Painting] | None, language: str) -> dict[Any, Any]:
        """Turn the result's labels to another language."""
        say, o = words(language), self.outputs
        before = say.photo_enlarged
        if done is None:
            label, download = self._example_label(say), gr.skip()
        else:
            label = say.photo_and_result.format(before=before)
            download = self._download(done[2], done[2].file, say)
        return {
            o.slider: gr.ImageSlider(label=label),
            o.before: gr.Image(label=before, alt_text=before),
            o.after: gr.Image(label=say.result, alt_text=say.result),
            o.download: download,
        }

    def look(self, photo: Any, *values: Any) -> tuple[Any, str, Any]:
        """Tell the result's size and time, or refuse; nothing is decoded yet."""
        *choices, language = values
        say, refused = words(language), gr.Button(interactive=False)
        if photo is None:
            return gr.skip(), say.choose, refused
        try:
            order = chosen(*choices)
            size = self.studio.measure(uploaded(photo, say))
            target = self.studio.target(size, order)
            seconds = self.studio.estimate(size, order)
        except ImageError as error:
            gr.Warning(say.say(error))
            return None, say.choose, refused
        except StyleSRError as error:
            return gr.skip(), say.say(error), refused
        text = f"{size[1]} × {size[0]} → <b>{target[1]} × {target[0]}</b>"
        about = say.seconds.format(seconds=f"{max(1, seconds):.0f}")
        return gr.skip(), f"{text} · {about}", gr.Button(interactive=True)

    def choose(self, style: str, mix: str, scale: str, language: str) -> tuple[Any, ...]:
        """Leave out what has no meaning for the choice."""
        say, paints = words(language), style != self.studio.names[0]
        return (
            gr.Slider(visible=paints),
            gr.Slider(visible=not paints and self.studio.has_detail),
            gr.Accordion(visible=paints),
            gr.Slider(visible=bool(mix)),
            gr.Number(visible=scale == "width"),
            gr.Button(say.paint if paints else say.enlarge_it),
        )

    def _check(self, photo: Any, choices: Sequence[Any], say: Words) -> None:
        order, size = chosen(*choices), self.studio.measure(uploaded(photo, say))
        self.site.check_room(say)
        self.studio.target(size, order)
        self.studio.options(size, order)

    def valid(self, photo: Any, *values: Any) -> list[Any]:
        """Refuse what cannot be painted before it stands in the queue, by the photo's header."""
        *choices, language = values
        say = words(language)
        reason = refusal(partial(self._check, photo, choices, say), say)
        return verdicts(reason, 1 + len(values))

    def valid_call(self, photo: Any, *values: Any) -> list[Any]:
        """The same for calls from programs."""
        *choices, _format, language = values
        return [*self.valid(photo, *choices, language), *verdicts("", 1)]

    def begin(self, photo: Any, *values: Any) -> tuple[Any, Any, str]:
        """Offer Stop."""
        *choices, language = values
        say = words(language)
        with friendly(say):
            self._check(photo, choices, say)
        return gr.Button(visible=False), gr.Button(visible=True), bar(say.waiting, say)

    def paint(self, photo: Any, *values: Any) -> Iterator[dict[Any, Any]]:
        """Enlarge and paint one photo."""
        *choices, language = values
        say, o = words(language), self.outputs
        with friendly(say), self.site.kept() as folder:
            order, path = chosen(*choices), uploaded(photo, say)
            yield {o.status: bar(say.starting, say)}
            work = self.studio.paint(path, folder, order)
            painting = yield from running(work, partial(self._step, say))
            yield self.shown(painting, say) | {o.done: (path, order, painting)}

    def _step(self, say: Words, step: Progress | Sketch) -> dict[Any, Any]:
        o = self.outputs
        if isinstance(step, Progress):
            return {o.status: bar(step, say)}
        pair = self._pair(step.before, step.after, say, say.photo_enlarged)
        return pair | {o.status: bar(say.sketch, say), o.download: gr.update(visible=False)}

    def shown(self, painting: Painting, say: Words) -> dict[Any, Any]:
        """A finished picture in all its places."""
        o, p = self.outputs, painting
        done = [say.done.format(seconds=f"{p.seconds:.1f}"), *map(say.say, p.notices)]
        return self._pair(p.before, p.after, say, say.photo_enlarged) | {
            o.status: ended(" · ".join(done)),
            o.options: gr.Row(visible=True),
            o.other: BICUBIC,
            o.format: "png",
            o.download: self._download(p, p.file, say),
        }

    def _pair(self, before: Path, after: Path, say: Words, name: str) -> dict[Any, Any]:
        o = self.outputs
        label = say.photo_and_result.format(before=name)
        return {
            o.result: gr.Column(visible=True),
            o.slider: gr.ImageSlider((str(before), str(after)), label=label),
            o.before: gr.Image(str(before), label=name, alt_text=name),
            o.after: gr.Image(str(after), label=say.result, alt_text=say.result),
        }

    def _download(self, painting: Painting, file: Path, say: Words) -> Any:
        kind = {".jpg": "JPEG", ".webp": "WebP"}.get(file.suffix, "PNG")
        text = say.download.format(
            format=kind,
            width=painting.width,
            height=painting.height,
            size=f"{file.stat().st_size / 1e6:.1f}",
        )
        return gr.DownloadButton(text, value=str(file), visible=True)

    def compare(
        self, done: tuple[str, Choices, Painting] | None, other: str, language: str
    ) -> Iterator[dict[Any, Any]]:
        """Show the result beside another way to make it."""
        say, o = words(language), self.outputs
        with friendly(say), self.site.kept() as folder:
            if done is None:
                raise InputError(say.choose)
            photo, order, painting = done
            yield {o.status: bar(say.starting, say)}
            work = self.studio.compare(photo, folder, order, other)
            file = yield from running(work, lambda step: {o.status: bar(step, say)})
            name = say.photo_enlarged if other == BICUBIC else say.way_name(other)
            yield self._pair(file, painting.after, say, name) | {o.status: ended("")}

    def convert(
        self, done: tuple[str, Choices, Painting] | None, format: str, language: str
    ) -> Any:
        """Offer the file in another format."""
        say = words(language)
        with friendly(say):
            if done is None:
                return gr.skip()
            if not done[2].file.exists():
                raise InputError(say.gone)
            return self._download(done[2], self.studio.convert(done[2], format), say)

    def enhance(
        self,
        photo: Any,
        style: str,
        mix: str = "",
        share: float = 0.5,
        scale: str = "4",
        width: int = 2048,
        strength: float = 1,
        detail: float = 0,
        brush: str = "auto",
        color: str = "style",
        seed: int = 0,
        format: str = "png",
        language: str = "en",
    ) -> Iterator[Any]:
        """Enlarge a photo and paint it in a style.

        Args:
            photo: A JPEG, PNG or WebP picture.
            style: A style's name, or "photo" to enlarge only.
            mix: A second style to mix in, or "".
            share: Of the second style, 0 to 1.
            scale: "1", "2" or "4" times the photo's size, or "width".
            width: Of the result in pixels, where scale is "width".
            strength: Of the style: 0 for none, 1 for the style, up to 1.5.
            detail: Of plain enlargement: 0 is faithful, 1 is vivid where that model is there.
            brush: "1", "2" or "4" for fine, medium or broad strokes; "auto" goes by the size.
            color: "style", "photo" for the photo's colours, or "palette" for its drawing too.
            seed: Of the variation, 0 to 99.
            format: "png" or "webp", without loss, or "jpeg".
            language: Of error messages: "en" or "zh".

        Returns:
            The picture's file.
        """
        say = words(language)
        values = style, mix, share, scale, width, strength, detail, brush, color, seed
        with friendly(say), self.site.kept() as folder:
            work = self.studio.paint(uploaded(photo, say), folder, chosen(*values))
            painting = yield from running(work, lambda _: None)
            yield str(self.studio.convert(painting, format))

    def estimate(
        self,
        photo: Any,
        style: str,
        mix: str = "",
        share: float = 0.5,
        scale: str = "4",
        width: int = 2048,
        strength: float = 1,
        detail: float = 0,
        brush: str = "auto",
        color: str = "style",
        seed: int = 0,
        language: str = "en",
    ) -> dict[str, float]:
        """Tell how large a result will be and about how long it will take.

        Args:
            photo: A JPEG, PNG or WebP picture.
            style: A style's name, or "photo" to enlarge only.
            mix: A second style to mix in, or "".
            share: Of the second style, 0 to 1.
            scale: "1", "2" or "4" times the photo's size, or "width".
            width: Of the result in pixels, where scale is "width".
            strength: Of the style: 0 for none, 1 for the style, up to 1.5.
            detail: Of plain enlargement, 0 to 1.
            brush: "1", "2", "4" or "auto".
            color: "style", "photo" or "palette".
            seed: Of the variation, 0 to 99.
            language: Of error messages: "en" or "zh".

        Returns:
            Width and height in pixels, and seconds.
        """
        say = words(language)
        values = style, mix, share, scale, width, strength, detail, brush, color, seed
        with friendly(say):
            size, order = self.studio.measure(uploaded(photo, say)), chosen(*values)
            height, wide = self.studio.target(size, order)
            seconds = self.studio.estimate(size, order)
        return {"width": wide, "height": height, "seconds": round(seconds, 1)}

    def end(self) -> tuple[Any, Any]:
        """Offer to paint again."""
        return gr.Button(visible=True), gr.Button(visible=False)

    def halt(self, language: str) -> tuple[Any, Any, str]:
        """Confirm the stop, asked for or not."""
        return *self.end(), ended(words(language).stopped)


def limits(studio: Studio, say: Words) -> str:
    """What a visitor should know before choosing a photo."""
    return say.limits.format(
        file=MAX_FILE_MB,
        input=f"{studio.max_input_pixels / 1e6:g}",
        output=f"{studio.max_output_pixels / 1e6:g}",
    )


def thumbnail_css(pictures: dict[str, bytes]) -> str:
    """Pictures for the cards of the styles, in their order."""
    rules = (
        f"#styles label:nth-of-type({place})"
        f"{{--thumbnail:url(data:image/webp;base64,{base64.b64encode(data).decode()})}}"
        for place, data in enumerate(pictures.values(), 1)
    )
    return f"<style>{''.join(rules)}</style>"
