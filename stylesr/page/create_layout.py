"""The tab Create: its components."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from stylesr.page.parts import MAX_FILE_MB, Spoken, first_style, offer_examples
from stylesr.page.words import ENGLISH, Words
from stylesr.studio import BICUBIC, TWO_STAGES, Studio

__all__ = ["Inputs", "Outputs", "lay_out_inputs", "lay_out_outputs", "thumbnail_css"]

BRUSHES = ("auto", "1", "2", "4")
FORMATS = ("png", "webp", "jpeg")


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
    enlarger: gr.Dropdown

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
            self.enlarger,
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


def lay_out_inputs(studio: Studio, spoken: Spoken) -> Inputs:
    """Photo, style and options."""
    base, styles = studio.names[0], studio.styles
    first = first_style(studio)
    paints, blends = first != base, first in studio.mixable
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
    offer_examples(photo, spoken, "examples")
    names = [base, *styles]
    thumbnails = gr.HTML(thumbnail_css(names, studio.samples), elem_id="thumbnails")
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
        visible=blends,
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
                "choices": [(w.mix_none, ""), *((w.style_name(s), s) for s in studio.mixable)],
            },
            value="",
            visible=blends,
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
        enlarger = spoken(
            gr.Dropdown,
            lambda w: {
                "label": w.chain,
                "info": w.chain_info,
                "choices": [
                    (w.chain_none, ""),
                    (w.chain_photo, base),
                    *((w.way_name(name), name) for name in studio.enlargers),
                ],
            },
            value="",
            visible=bool(studio.enlargers),
            elem_id="enlarger",
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
        enlarger,
    )


def lay_out_outputs(studio: Studio, spoken: Spoken) -> Outputs:
    """The buttons, what they will make and how far it is; below, the result."""
    with gr.Column(elem_id="action"):
        with gr.Row():
            size = gr.HTML(ENGLISH.choose, elem_id="size")
            start = gr.Button(  # its word depends on the style too: it follows `Create.choose`
                ENGLISH.paint, variant="primary", interactive=False, scale=0, elem_id="start"
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
            with spoken(gr.Tab, lambda w: {"label": w.side_by_side}):
                with gr.Row(elem_id="zoom"):
                    spoken(gr.HTML, lambda w: {"value": zoom_buttons(w)}, elem_id="zoom-buttons")
                    gr.HTML("<output aria-live='polite'>100 %</output>", elem_id="zoom-level")
                with gr.Row(elem_id="pair"):
                    before, after = (
                        gr.Image(
                            label=" ",
                            format="png",
                            interactive=False,
                            buttons=["fullscreen"],
                            min_width=120,
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


def thumbnail_css(names: Sequence[str], pictures: Mapping[str, bytes]) -> str:
    """Pictures for the cards of the styles, which stand in the order of their names."""
    rules = (
        f"#styles label:nth-of-type({place})"
        f"{{--thumbnail:url(data:image/webp;base64,{base64.b64encode(pictures[name]).decode()})}}"
        for place, name in enumerate(names, 1)
        if name in pictures
    )
    return f"<style>{''.join(rules)}</style>"


def zoom_buttons(say: Words) -> str:
    """What moves both pictures that stand side by side; `zoom.js` listens."""
    signs = ("-", "−"), ("+", "+"), ("0", "⤢")
    buttons = (
        f'<button type="button" data-key="{key}" aria-label="{name}" title="{name}">{sign}</button>'
        for (key, sign), name in zip(signs, say.zoom_names, strict=True)
    )
    group = f'role="group" aria-label="{say.zoom}" aria-describedby="zoom-help"'
    return f'<div {group}>{"".join(buttons)}</div><span id="zoom-help">{say.zoom_help}</span>'


def limits(studio: Studio, say: Words) -> str:
    """What a visitor should know before choosing a photo."""
    return say.limits.format(
        file=MAX_FILE_MB,
        input=f"{studio.max_input_pixels / 1e6:g}",
        output=f"{studio.max_output_pixels / 1e6:g}",
    )
