"""The tab Create: one photo, enlarged and painted."""

import threading
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr

from stylesr.errors import ImageError, InputError, StyleSRError
from stylesr.orders import Choices, Painting, Sketch
from stylesr.page.create_layout import (
    Inputs,
    Outputs,
    lay_out_inputs,
    lay_out_outputs,
    thumbnail_css,
)
from stylesr.page.keeping import new_folder
from stylesr.page.parts import (
    EXAMPLES,
    HEAVY,
    LIGHT,
    PRIVATE,
    QUICK,
    Site,
    Spoken,
    Stoppable,
    bar,
    chosen,
    ended,
    friendly,
    offered,
    refusal,
    running,
    uploaded,
    verdicts,
)
from stylesr.page.words import Words, words
from stylesr.pipeline import Progress
from stylesr.studio import BICUBIC, Studio
from stylesr.tiling import drain

__all__ = ["Create", "build"]

SHOW_RESULT = """
() => setTimeout(() =>
  document.querySelector("#result").scrollIntoView({behavior: "smooth", block: "nearest"}), 300)
"""


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
        [i.strength, i.detail, i.more, i.mix, i.share, i.width, o.start],
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
    compared = o.other.input(
        create.compare, [o.done, o.other, language], shown, api_visibility="private", **HEAVY
    )
    o.format.input(create.convert, [o.done, o.format, language], o.download, **PRIVATE)
    create.follow(run, o, language, compared)


class Create(Stoppable):
    """What the tab does on a visitor's actions.

    Photos come unprocessed, as a dictionary with the path of the upload, and so do all values that
    come with one: one that is not among the choices is refused by the pipeline, with its reason.
    """

    def __init__(self, studio: Studio, inputs: Inputs, outputs: Outputs, site: Site) -> None:
        self.studio, self.inputs, self.outputs, self.site = studio, inputs, outputs, site
        self.folder = TemporaryDirectory(prefix="stylesr-")  # of the example, gone with the page
        self.painted: dict[str, bytes] = {}  # thumbnails
        self._lock = threading.Lock()

    def welcome(self, language: str) -> Iterator[dict[Any, Any]]:
        """Before the first photo: a picture painted by one style, and thumbnails of all.

        Most thumbnails came with the page; painted are those of models without a preview.
        """
        say, o = words(language), self.outputs
        if not EXAMPLES:
            return
        with friendly(say):
            with self._lock:  # made once, whoever comes first
                painting = self._example
            pair = self._pair(painting.before, painting.after, say, say.photo_enlarged)
            files = str(painting.before), str(painting.after)
            yield pair | {o.slider: gr.ImageSlider(files, label=self._example_label(say))}
            names = [self.studio.names[0], *self.studio.styles]
            for name in (name for name in names if name not in self.studio.samples):
                with self._lock:
                    if name not in self.painted:
                        self.painted[name] = self.studio.thumbnail(EXAMPLES[0], name)
                    thumbnails = self.studio.samples | self.painted
                yield {self.inputs.thumbnails: thumbnail_css(names, thumbnails)}

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
            download = offered(done[2], done[2].file, say)
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
            gr.Warning(say.say(error), title=say.note_title)
            return None, say.choose, refused
        except StyleSRError as error:
            return gr.skip(), say.say(error), refused
        text = f"{size[1]} × {size[0]} → <b>{target[1]} × {target[0]}</b>"
        about = say.seconds.format(seconds=f"{max(1, seconds):.0f}")
        return gr.skip(), f"{text} · {about}", gr.Button(interactive=True)

    def choose(self, style: str, mix: str, scale: str, language: str) -> tuple[Any, ...]:
        """Leave out what has no meaning for the choice."""
        say, paints = words(language), style != self.studio.names[0]
        blends = style in self.studio.mixable
        return (
            gr.Slider(visible=True) if blends else gr.Slider(visible=False, value=1),
            gr.Slider(visible=not paints and self.studio.has_detail),
            gr.Accordion(visible=paints),
            gr.update(visible=True) if blends else gr.update(visible=False, value=""),
            gr.Slider(visible=blends and bool(mix)),
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

    def begin(self, photo: Any, *values: Any) -> tuple[Any, Any, str]:
        """Offer Stop."""
        *choices, language = values
        say = words(language)
        with friendly(say):
            self._check(photo, choices, say)
        return self.offer_stop(say)

    def paint(self, photo: Any, *values: Any) -> Iterator[dict[Any, Any]]:
        """Enlarge and paint one photo."""
        *choices, language = values
        say, o = words(language), self.outputs
        with friendly(say), new_folder(self.site.page) as folder:
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
            o.download: offered(p, p.file, say),
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

    def compare(
        self, done: tuple[str, Choices, Painting] | None, other: str, language: str
    ) -> Iterator[dict[Any, Any]]:
        """Show the result beside another way to make it."""
        say, o = words(language), self.outputs
        with friendly(say), new_folder(self.site.page) as folder:
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
            return offered(done[2], self.studio.convert(done[2], format), say)
