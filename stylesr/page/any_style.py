"""The tab Any style: a photo painted like whatever other picture the visitor gives.

It is there where one of the page's models is an AdaINNet.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from stylesr.orders import Choices, Painting
from stylesr.page.create_layout import limits
from stylesr.page.keeping import new_folder
from stylesr.page.parts import (
    HEAVY,
    LIGHT,
    QUICK,
    Site,
    Spoken,
    Stoppable,
    action,
    bar,
    ended,
    factor,
    friendly,
    offer_examples,
    offered,
    refusal,
    running,
    strength_of,
    uploaded,
    verdicts,
)
from stylesr.page.words import Words, words
from stylesr.pipeline import Progress
from stylesr.studio import Studio

__all__ = ["AnyStyle", "build"]


@dataclass
class Parts:
    """The tab's components."""

    photo: gr.Image
    model: gr.Image
    scale: gr.Radio
    strength: gr.Slider
    start: gr.Button
    stop: gr.Button
    status: gr.HTML
    slider: gr.ImageSlider
    download: gr.DownloadButton

    @property
    def asked(self) -> list[Any]:
        """What is read when a picture is painted."""
        return [self.photo, self.model, self.scale, self.strength]


def build(studio: Studio, spoken: Spoken, language: gr.Radio, site: Site) -> "AnyStyle":
    """Lay the tab out and wire it; to be called inside of it."""
    any_style = AnyStyle(studio, lay_out(studio, spoken), site)
    wire(any_style, language)
    return any_style


def lay_out(studio: Studio, spoken: Spoken) -> Parts:
    """The photo and the picture to paint like, the button, the result."""
    given: dict[str, Any] = {
        "type": "filepath",
        "format": "png",
        "sources": ["upload", "clipboard"],
        "height": 210,
    }
    spoken(gr.Markdown, lambda w: {"value": w.any_intro})
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            with gr.Row():
                photo = spoken(
                    gr.Image,
                    lambda w: {"label": w.photo, "placeholder": w.drop},
                    elem_id="any-photo",
                    **given,
                )
                model = spoken(
                    gr.Image,
                    lambda w: {"label": w.any_model, "placeholder": w.drop},
                    elem_id="any-model",
                    **given,
                )
            offer_examples(photo, spoken, "any-examples")
            scale = factor(spoken, 2)
            strength = strength_of(spoken)
            spoken(gr.HTML, lambda w: {"value": limits(studio, w)}, elem_classes="fine-print")
        with gr.Column(scale=8, min_width=320, elem_classes="pane"):
            status, start, stop = action(spoken, "any")
            slider = gr.ImageSlider(
                label=" ", format="png", max_height=620, visible=False, elem_id="any-result"
            )
            download = gr.DownloadButton(visible=False, elem_id="any-download")
    return Parts(photo, model, scale, strength, start, stop, status, slider, download)


def wire(any_style: "AnyStyle", language: gr.Radio) -> None:
    """Say which answer follows which of the visitor's actions."""
    p = any_style.parts
    asked, buttons = [*p.asked, language], [p.start, p.stop, p.status]
    gr.on(
        [p.photo.change, p.model.change, p.scale.change],
        any_style.look,
        asked,
        [p.status, p.start],
        preprocess=False,
        **QUICK,
    )
    run = p.start.click(any_style.begin, asked, buttons, **LIGHT).success(
        any_style.paint,
        asked,
        [p.status, p.slider, p.download],
        validator=any_style.valid,
        api_visibility="private",
        **HEAVY,
    )
    any_style.follow(run, p, language)


class AnyStyle(Stoppable):
    """What the tab does on a visitor's actions."""

    def __init__(self, studio: Studio, parts: Parts, site: Site) -> None:
        self.studio, self.parts, self.site = studio, parts, site

    def order(self, asked: Sequence[Any], say: Words) -> tuple[str, Choices]:
        """The photo's file and what to make of it; both pictures are known by their headers alone.

        Raises:
            ImageError, InputError: a picture is missing, cannot be read or is too large.
        """
        photo, model, scale, strength = asked
        path = uploaded(photo, say)
        like = uploaded(model, say, missing=say.any_choose)
        style = self.studio.any_style[0]
        order = Choices(style, scale=scale, strength=strength, style_image=like)
        size = self.studio.measure(path)
        self.studio.target(size, order)
        self.studio.options(size, order)
        return path, order

    def look(self, *asked: Any) -> tuple[str, Any]:
        """Refuse what cannot be painted as soon as it is chosen."""
        *values, language = asked
        say = words(language)
        reason = refusal(lambda: self.order(values, say), say)
        return ended(reason if any(values[:2]) else ""), gr.Button(interactive=not reason)

    def valid(self, *asked: Any) -> list[Any]:
        """Refuse it before it stands in the queue."""
        *values, language = asked
        say = words(language)
        reason = refusal(lambda: self.order(values, say), say)
        return verdicts(reason or refusal(partial(self.site.check_room, say), say), len(asked))

    def begin(self, *asked: Any) -> tuple[Any, Any, str]:
        """Offer Stop."""
        *values, language = asked
        say = words(language)
        with friendly(say):
            self.order(values, say)
            self.site.check_room(say)
        return self.offer_stop(say)

    def paint(self, *asked: Any) -> Iterator[dict[Any, Any]]:
        """Read the one picture and paint the other like it."""
        *values, language = asked
        say, p = words(language), self.parts
        with friendly(say), new_folder(self.site.page) as folder:
            path, order = self.order(values, say)
            yield {p.status: bar(say.starting, say), p.download: gr.update(visible=False)}
            work = self.studio.paint(path, folder, order)
            painting = yield from running(work, lambda step: {p.status: self._step(step, say)})
            yield self._shown(painting, say)

    def _step(self, step: Any, say: Words) -> str:
        return bar(step if isinstance(step, Progress) else say.sketch, say)

    def _shown(self, painting: Painting, say: Words) -> dict[Any, Any]:
        p = self.parts
        done = [say.done.format(seconds=f"{painting.seconds:.1f}"), *map(say.say, painting.notices)]
        label = say.photo_and_result.format(before=say.photo_enlarged)
        return {
            p.status: ended(" · ".join(done)),
            p.slider: gr.ImageSlider(
                (str(painting.before), str(painting.after)), label=label, visible=True
            ),
            p.download: offered(painting, painting.file, say),
        }
