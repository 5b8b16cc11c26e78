"""The page: `python app.py` opens it; on a Space it is the app file.

Layout and wiring only: what happens to a picture is in `stylesr.studio`.
"""

import base64
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr
from gradio.media import get_image

from stylesr.errors import ImageError, InputError, StyleSRError
from stylesr.pipeline import Progress
from stylesr.studio import Painting, Studio
from stylesr.tiling import drain

EXAMPLES = [get_image(name) for name in ("lion.jpg", "tower.jpg", "cheetah1.jpg")]  # Gradio's own
FIRST_STYLE = "starry-night"  # chosen at first, if it is there

TITLE = "<h1>stylesr</h1><p>Enlarge a photo and repaint it, in one pass.</p>"
CHOOSE = "Choose a photo to begin."
NOTE = """
Detail in an enlarged or painted picture is **invented** by a small neural network: plausible, not a
record of what was there. Do not use it to identify people, to read text or number plates, or as
medical or forensic evidence. Your photo serves your picture alone and is deleted within 20 minutes.
"""
SHOW_RESULT = """
() => setTimeout(() =>
  document.querySelector("#result").scrollIntoView({behavior: "smooth", block: "nearest"}), 300)
"""

THEME = gr.themes.Default(
    primary_hue="orange",
    neutral_hue="stone",
    # Of Gradio's fonts few hold all Latin letters; these two weights do.
    font=[gr.themes.LocalFont("Source Sans Pro", weights=(400, 700)), "sans-serif"],
).set(
    body_text_color_subdued="*neutral_500",
    color_accent="*primary_700",
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover_dark="*primary_600",
    slider_color="*primary_700",
    slider_color_dark="*primary_600",
)


def build_page(studio: Studio | None = None) -> gr.Blocks:
    """The whole page.

    Args:
        studio: the models and limits; by default all models that come with the package.
    """
    studio = studio or Studio()
    with gr.Blocks(
        title="stylesr", fill_width=True, analytics_enabled=False, delete_cache=(300, 900)
    ) as page:
        gr.HTML(TITLE, elem_id="title")
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=320):
                inputs = lay_out_inputs(studio.names)
            with gr.Column(scale=8, min_width=320):
                outputs = lay_out_outputs()
        gr.Markdown(NOTE, elem_id="note")
        wire(page, inputs, outputs, Answers(studio, inputs, outputs))
    return page.queue(max_size=16)


# -- layout -----------------------------------------------------------------------------------


@dataclass
class Inputs:
    """What the visitor sets."""

    photo: gr.Image
    style: gr.Radio
    thumbnails: gr.HTML
    scale: gr.Radio
    strength: gr.Slider
    details: gr.Accordion
    brush: gr.Radio
    color: gr.Radio
    seed: gr.Slider


@dataclass
class Outputs:
    """What the visitor gets."""

    size: gr.HTML
    start: gr.Button
    stop: gr.Button
    status: gr.HTML
    result: gr.Column
    slider: gr.ImageSlider
    before: gr.Image
    after: gr.Image
    download: gr.DownloadButton


def lay_out_inputs(names: list[str]) -> Inputs:
    """Photo, style and options. The first name is the model that enlarges only."""
    base, *styles = names
    photo = gr.Image(
        label="Photo",
        type="filepath",
        format="png",
        sources=["upload", "clipboard"],
        height=220,
        buttons=["fullscreen"],
        elem_id="photo",
    )
    gr.Examples(EXAMPLES, photo, label="Or try one of these", preload=False, elem_id="examples")
    thumbnails = gr.HTML(elem_id="thumbnails")
    style = gr.Radio(
        [("Enlarge only", base), *((_title(name), name) for name in styles)],
        value=FIRST_STYLE if FIRST_STYLE in styles else next(iter(styles), base),
        label="Style",
        elem_id="styles",
    )
    scale = gr.Radio([("Same size", 1), ("2×", 2), ("4×", 4)], value=4, label="Enlarge")
    strength = gr.Slider(0, 1.5, value=1, step=0.05, label="Strength of the style")
    with gr.Accordion("Brush, colours, variation", open=False) as details:
        brush = gr.Radio(
            [("Auto", 0), ("Fine", 1), ("Medium", 2), ("Broad", 4)], value=0, label="Brush"
        )
        color = gr.Radio(
            [("Painting", "style"), ("Photo", "photo"), ("Palette only", "palette")],
            value="style",
            label="Colours",
            info="“Palette only” keeps the photo's drawing and takes just the painting's colours.",
        )
        seed = gr.Slider(0, 99, value=0, step=1, label="Variation")
    return Inputs(photo, style, thumbnails, scale, strength, details, brush, color, seed)


def lay_out_outputs() -> Outputs:
    """The buttons, what they will make and how far it is; below, the result."""
    with gr.Column(elem_id="action"):
        with gr.Row():
            size = gr.HTML(CHOOSE, elem_id="size")
            start = gr.Button("Paint", variant="primary", interactive=False, scale=0)
            stop = gr.Button("Stop", visible=False, scale=0)
        status = gr.HTML(elem_id="status")
    with gr.Column(visible=False, elem_id="result") as result:
        with gr.Tab("Slider"):
            slider = gr.ImageSlider(
                label="Photo and result", format="png", max_height=620, buttons=["fullscreen"]
            )
        with gr.Tab("Side by side"), gr.Row():
            before, after = (
                gr.Image(
                    label=label,
                    format="png",
                    interactive=False,
                    buttons=["fullscreen"],
                    min_width=280,
                )
                for label in ("Photo, enlarged", "Result")
            )
        download = gr.DownloadButton(visible=False)
    return Outputs(size, start, stop, status, result, slider, before, after, download)


# -- wiring -----------------------------------------------------------------------------------


def wire(page: gr.Blocks, inputs: Inputs, outputs: Outputs, answers: "Answers") -> None:
    """Say which answer follows which of the visitor's actions."""
    i, o = inputs, outputs
    buttons = [o.start, o.stop, o.status]
    result = [o.status, o.result, o.slider, o.before, o.after, o.download]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    quick: dict[str, Any] = {"queue": False, **quiet}

    page.load(answers.welcome, None, [i.thumbnails, *result], **quiet)
    gr.on(
        [i.photo.change, i.scale.change],
        answers.look,
        [i.photo, i.scale],
        [i.photo, o.size, o.start],
        preprocess=False,
        concurrency_limit=4,
        **quiet,
    )
    i.style.change(answers.choose, i.style, [i.strength, i.details, o.start], **quick)
    run = o.start.click(answers.begin, None, buttons, **quick).then(
        answers.paint,
        [i.photo, i.style, i.scale, i.strength, i.brush, i.color, i.seed],
        result,
        preprocess=False,
        concurrency_id="paint",  # one at a time, for all visitors
        concurrency_limit=1,
        show_progress="hidden",
        api_name="paint",
    )
    run.success(answers.end, None, buttons[:2], **quick).then(None, js=SHOW_RESULT)
    run.failure(answers.halt, None, buttons, **quick)
    o.stop.click(answers.halt, None, buttons, cancels=run, **quick)


class Answers:
    """What the page does on a visitor's actions.

    `look` and `paint` get the visitor's values unprocessed, a photo as a dictionary with its path:
    Gradio would open the file with all of Pillow's decoders, and a value that is not among the
    choices is refused by the pipeline, with its reason.
    """

    def __init__(self, studio: Studio, inputs: Inputs, outputs: Outputs) -> None:
        self.studio, self.inputs, self.outputs = studio, inputs, outputs
        self.folder = TemporaryDirectory(prefix="stylesr-")  # of the example, gone with the page
        self.example = cache(self._example)

    def welcome(self) -> dict[Any, Any]:
        """Before the first photo: thumbnails of the styles, and a picture painted by one."""
        with _friendly():
            css, painting = self.example()
        shown = self._shown(painting, f"An example: photo and {_title(self.inputs.style.value)}")
        del shown[self.outputs.status], shown[self.outputs.download]
        return {self.inputs.thumbnails: css} | shown

    def _example(self) -> tuple[str, Painting]:
        photo, style = EXAMPLES[0], self.inputs.style.value
        css = _thumbnail_css(self.studio.thumbnails(photo))
        return css, drain(self.studio.paint(photo, self.folder.name, style=style, scale=4))

    def look(self, photo: dict[str, Any] | None, scale: float) -> tuple[Any, str, Any]:
        """Tell the result's size, or refuse; nothing is decoded yet."""
        refused = gr.Button(interactive=False)
        if photo is None:
            return gr.skip(), CHOOSE, refused
        try:
            size = self.studio.measure(_path(photo))
            target = self.studio.target(size, scale)
        except ImageError as error:
            gr.Warning(escape(str(error), quote=False))
            return None, CHOOSE, refused
        except InputError as error:
            return gr.skip(), escape(str(error), quote=False), refused
        text = f"{size[1]} × {size[0]} → <b>{target[1]} × {target[0]}</b> pixels"
        return gr.skip(), text, gr.Button(interactive=True)

    def choose(self, style: str) -> tuple[Any, Any, str]:
        """Leave out what has no meaning for plain enlargement."""
        paints = style != self.studio.names[0]
        options = gr.Slider(visible=paints), gr.Accordion(visible=paints)
        return *options, "Paint" if paints else "Enlarge"

    def paint(
        self,
        photo: dict[str, Any] | None,
        style: str,
        scale: int,
        strength: float,
        brush: int,
        color: str,
        seed: int,
    ) -> Iterator[dict[Any, Any]]:
        """Enlarge and paint one photo."""
        with _friendly(), TemporaryDirectory(prefix="stylesr-") as folder:
            work = self.studio.paint(
                _path(photo),
                folder,
                style=style,
                scale=scale,
                strength=strength,
                brush=brush or None,
                color=color,
                seed=seed,
            )
            yield {self.outputs.status: _bar("Starting…")}
            painting = yield from self._watched(work)
            yield self._shown(painting, "Photo and result")

    def _watched(
        self, work: Generator[Progress, None, Painting]
    ) -> Generator[dict[Any, Any], None, Painting]:
        """Turn tiles done into a progress bar with count and time."""
        while True:
            try:
                step = next(work)
            except StopIteration as end:
                painting: Painting = end.value
                return painting
            left = step.seconds / step.done * (step.total - step.done)
            rest = f"about {left:.0f} s left" if left else "writing the file…"
            text = f"Tile {step.done} of {step.total}, {step.seconds:.0f} s, {rest}"
            yield {self.outputs.status: _bar(text, step.done / step.total)}

    def _shown(self, painting: Painting, label: str) -> dict[Any, Any]:
        o, p = self.outputs, painting
        done = [f"Done in {p.seconds:.1f} s", *map(escape, p.notices)]
        file = f"Download PNG, {p.width} × {p.height}, {p.file.stat().st_size / 1e6:.1f} MB"
        return {
            o.status: " · ".join(done),
            o.result: gr.Column(visible=True),
            o.slider: gr.ImageSlider((str(p.before), str(p.after)), label=label),
            o.before: p.before,
            o.after: p.after,
            o.download: gr.DownloadButton(file, value=p.file, visible=True),
        }

    def begin(self) -> tuple[Any, Any, str]:
        """Offer Stop."""
        return gr.Button(visible=False), gr.Button(visible=True), _bar("Waiting for its turn…")

    def end(self) -> tuple[Any, Any]:
        """Offer to paint again."""
        return gr.Button(visible=True), gr.Button(visible=False)

    def halt(self) -> tuple[Any, Any, str]:
        """Confirm the stop, asked for or not."""
        return *self.end(), "Stopped."


def launch(page: gr.Blocks, **options: Any) -> Any:
    """Serve the page with its looks and safety settings; options as for `gr.Blocks.launch`."""
    settings: dict[str, Any] = {
        "theme": THEME,
        "css_paths": Path(__file__).with_name("app.css"),
        "footer_links": ["gradio", "settings"],
        "max_file_size": "25mb",
        "max_threads": 8,
        "enable_monitoring": False,
        "run_history": False,
        "ssr_mode": False,
    }
    return page.launch(**settings | options)


def _path(photo: dict[str, Any] | None) -> str:
    """The uploaded file that Gradio's Image stands for."""
    if not photo or not photo.get("path"):
        raise InputError(CHOOSE)
    return str(photo["path"])


def _title(name: str) -> str:
    """starry-night → Starry night."""
    return name.replace("-", " ").capitalize()


def _thumbnail_css(pictures: dict[str, bytes]) -> str:
    """Pictures for the cards of the styles, in their order."""
    rules = (
        f"#styles label:nth-of-type({place})"
        f"{{--thumbnail:url(data:image/webp;base64,{base64.b64encode(data).decode()})}}"
        for place, data in enumerate(pictures.values(), 1)
    )
    return f"<style>{''.join(rules)}</style>"


def _bar(text: str, value: float | None = None) -> str:
    done = "" if value is None else f' value="{value:.3f}"'
    return (
        f'<div class="running" role="status"><span>{text}</span><progress{done}></progress></div>'
    )


@contextmanager
def _friendly() -> Iterator[None]:
    """Show the visitor what went wrong, and what would work."""
    try:
        yield
    except StyleSRError as error:
        raise gr.Error(escape(str(error), quote=False), print_exception=False) from error


if __name__ == "__main__":
    launch(build_page(), inbrowser=sys.stdout.isatty())
