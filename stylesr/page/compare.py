"""The tab Compare: one photo in all styles, and any two results beside each other."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from stylesr.orders import Panel
from stylesr.page.keeping import new_folder
from stylesr.page.parts import (
    HEAVY,
    LIGHT,
    PRIVATE,
    QUICK,
    Site,
    Spoken,
    Stoppable,
    action,
    bar,
    ended,
    factor,
    first_style,
    friendly,
    offer_examples,
    refusal,
    uploaded,
    verdicts,
)
from stylesr.page.words import Words, words
from stylesr.pipeline import Progress
from stylesr.studio import BICUBIC, PANEL_SIDE, Studio

__all__ = ["Compare", "build"]


@dataclass
class Parts:
    """The tab's components."""

    photo: gr.Image
    scale: gr.Radio
    original: gr.Checkbox
    start: gr.Button
    stop: gr.Button
    status: gr.HTML
    result: gr.Column
    gallery: gr.Gallery
    left: gr.Dropdown
    right: gr.Dropdown
    slider: gr.ImageSlider
    table: gr.HTML
    done: gr.State


def build(studio: Studio, spoken: Spoken, language: gr.Radio, site: Site) -> "Compare":
    """Lay the tab out and wire it; to be called inside of it."""
    compare = Compare(studio, lay_out(studio, spoken), site)
    wire(compare, language)
    return compare


def lay_out(studio: Studio, spoken: Spoken) -> Parts:
    """The photo and its settings beside the results."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            spoken(gr.Markdown, lambda w: {"value": w.compare_intro.format(side=PANEL_SIDE)})
            photo = spoken(
                gr.Image,
                lambda w: {"label": w.photo, "placeholder": w.drop},
                type="filepath",
                format="png",
                sources=["upload", "clipboard", "webcam"],
                height=210,
                buttons=["fullscreen"],
                elem_id="compare-photo",
            )
            offer_examples(photo, spoken, "compare-examples")
            scale = factor(spoken, 4)
            original = spoken(
                gr.Checkbox, lambda w: {"label": w.is_original, "info": w.is_original_info}
            )
        with gr.Column(scale=8, min_width=320, elem_classes="pane"):
            status, start, stop = action(spoken, "compare", lambda w: w.compare)
            with gr.Column(visible=False, elem_id="compare-result") as result:
                gallery = spoken(
                    gr.Gallery,
                    lambda w: {"label": w.all_ways},
                    columns=4,
                    object_fit="cover",
                    height="auto",
                    format="png",
                    buttons=["download", "fullscreen"],
                    interactive=False,
                    elem_id="gallery",
                )
                with gr.Row():
                    left = spoken(
                        gr.Dropdown, lambda w: {"label": w.one_side}, choices=[], elem_id="left"
                    )
                    right = spoken(
                        gr.Dropdown, lambda w: {"label": w.other_side}, choices=[], elem_id="right"
                    )
                slider = gr.ImageSlider(
                    label=" ", format="png", max_height=620, buttons=["fullscreen"]
                )
                table = gr.HTML(elem_id="figures")
    return Parts(
        photo,
        scale,
        original,
        start,
        stop,
        status,
        result,
        gallery,
        left,
        right,
        slider,
        table,
        gr.State(()),
    )


def wire(compare: "Compare", language: gr.Radio) -> None:
    """Say which answer follows which of the visitor's actions."""
    p = compare.parts
    asked = [p.photo, p.scale, p.original, language]
    buttons = [p.start, p.stop, p.status]
    pair = [p.left, p.right, language]
    p.photo.change(
        compare.look,
        [p.photo, language],
        [p.photo, p.start],
        **LIGHT,
    )
    run = p.start.click(compare.begin, [p.photo, language], buttons, **LIGHT).success(
        compare.run,
        asked,
        [p.status, p.result, p.gallery, p.left, p.right, p.slider, p.table, p.done],
        validator=compare.valid,
        api_visibility="private",
        **HEAVY,
    )
    compare.follow(run, p, language)
    gr.on([p.left.input, p.right.input], compare.pair, [p.done, *pair], p.slider, **PRIVATE)
    language.change(
        compare.speak, [p.done, *pair], [p.gallery, p.left, p.right, p.slider, p.table], **QUICK
    )


class Compare(Stoppable):
    """What the tab does on a visitor's actions."""

    def __init__(self, studio: Studio, parts: Parts, site: Site) -> None:
        self.studio, self.parts, self.site = studio, parts, site

    @property
    def ways(self) -> list[str]:
        """What is compared: plain interpolation and all models."""
        names = [name for name in self.studio.names if name not in self.studio.any_style]
        return [BICUBIC, *sorted(names, key=lambda name: name in self.studio.styles)]

    def look(self, photo: Any, language: str) -> tuple[Any, Any]:
        """Refuse a photo by its header."""
        if photo is None:
            return gr.skip(), gr.Button(interactive=False)
        say = words(language)
        if reason := refusal(lambda: self.studio.measure(uploaded(photo, say)), say):
            gr.Warning(reason, title=say.note_title)
            return None, gr.Button(interactive=False)
        return gr.skip(), gr.Button(interactive=True)

    def valid(self, photo: Any, scale: int, original: bool, language: str) -> list[Any]:
        """Refuse what cannot be read before it stands in the queue."""
        say = words(language)
        return verdicts(refusal(lambda: self._check(photo, say), say), 4)

    def _check(self, photo: Any, say: Words) -> None:
        self.studio.measure(uploaded(photo, say))
        self.site.check_room(say)

    def begin(self, photo: Any, language: str) -> tuple[Any, Any, str]:
        """Offer Stop."""
        say = words(language)
        with friendly(say):
            self._check(photo, say)
        return self.offer_stop(say)

    def run(
        self, photo: Any, scale: int, original: bool, language: str
    ) -> Iterator[dict[Any, Any]]:
        """Enlarge the photo in every way, each shown as soon as it is done."""
        say, p, done = words(language), self.parts, tuple[Panel, ...]()
        with friendly(say), new_folder(self.site.page) as folder:
            path = uploaded(photo, say)
            yield {p.status: bar(say.starting, say)}
            seconds = 0.0
            for panel in self.studio.panels(
                path, folder, self.ways, scale=scale, original=bool(original)
            ):
                done += (panel,)
                seconds += panel.seconds
                step = Progress(len(done), len(self.ways), seconds)
                shown = {p.status: bar(step, say), p.result: gr.Column(visible=True)}
                yield shown | {p.gallery: self._gallery(done, say)}
            shown = self.speak(done, BICUBIC, first_style(self.studio), language)
            status = ended(say.done.format(seconds=f"{seconds:.1f}"))
            yield shown | {p.status: status, p.done: done}

    def speak(
        self, done: tuple[Panel, ...], left: str, right: str, language: str
    ) -> dict[Any, Any]:
        """All results, named in a language."""
        say, p = words(language), self.parts
        if not done:
            return {p.table: ""}
        choices = [(say.way_name(panel.name), panel.name) for panel in done]
        return {
            p.gallery: self._gallery(done, say),
            p.left: gr.Dropdown(choices=choices, value=left),
            p.right: gr.Dropdown(choices=choices, value=right),
            p.slider: self.pair(done, left, right, language),
            p.table: _table(done, say),
        }

    def pair(self, done: tuple[Panel, ...], left: str, right: str, language: str) -> Any:
        """Any two of the results in the slider."""
        say, files = words(language), {panel.name: str(panel.file) for panel in done}
        if left not in files or right not in files:
            return gr.skip()
        label = f"{say.way_name(left)} · {say.way_name(right)}"
        return gr.ImageSlider((files[left], files[right]), label=label)

    def _gallery(self, done: tuple[Panel, ...], say: Words) -> Any:
        return gr.Gallery([(str(panel.file), say.way_name(panel.name)) for panel in done])


def _table(done: tuple[Panel, ...], say: Words) -> str:
    """Size, time and, where there is an original, PSNR of each result."""
    measured = any(panel.psnr is not None for panel in done)
    heads = [say.result, say.enlarge, say.time, *(["PSNR-Y"] if measured else [])]
    rows = []
    for panel in done:
        megabytes = f"{panel.file.stat().st_size / 1e6:.1f} MB"
        cells = [f"{panel.width} × {panel.height}, {megabytes}", f"{panel.seconds:.2f} s"]
        if panel.psnr is not None:
            cells.append(f"{panel.psnr:.2f} dB")
        name = f'<th scope="row">{escape(say.way_name(panel.name))}</th>'
        rows.append(f"<tr>{name}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
