"""What programs may call, by gradio_client or as MCP tools.

`/enhance` and `/estimate`, and `/paint_like` where the page has a network for any style.
"""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from stylesr.page.any_style import AnyStyle
from stylesr.page.create import Create
from stylesr.page.keeping import new_folder
from stylesr.page.parts import HEAVY, chosen, friendly, running, uploaded, verdicts
from stylesr.page.words import words

__all__ = ["build", "build_any_style"]


def build(create: Create, language: gr.Radio) -> None:
    """Add the endpoints, whose inputs are those of the tab Create."""
    calls, i, o = Endpoints(create), create.inputs, create.outputs
    asked = [i.photo, *i.choices]
    gr.on(
        [],
        calls.enhance,
        [*asked, o.format, language],
        gr.File(visible=False),
        validator=calls.valid,
        api_name="enhance",
        **HEAVY,
    )
    gr.on(
        [],
        calls.estimate,
        [*asked, language],
        gr.JSON(visible=False),
        preprocess=False,
        concurrency_limit=4,
        api_name="estimate",
    )


def build_any_style(any_style: AnyStyle, language: gr.Radio) -> None:
    """Add the endpoint whose inputs are those of the tab Any style."""
    calls = AnyStyleEndpoint(any_style)
    gr.on(
        [],
        calls.paint_like,
        [*any_style.parts.asked, language],
        gr.File(visible=False),
        validator=any_style.valid,
        api_name="paint_like",
        **HEAVY,
    )


class Endpoints:
    """The functions behind the endpoints; their docstrings are what programs are told."""

    def __init__(self, create: Create) -> None:
        self.create, self.studio, self.site = create, create.studio, create.site

    def valid(self, photo: Any, *values: Any) -> list[Any]:
        """Refuse before it stands in the queue, as on the page."""
        *choices, _format, language = values
        return [*self.create.valid(photo, *choices, language), *verdicts("", 1)]

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
        enlarger: str = "",
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
            enlarger: A network's name, such as "srcnn-x4": the style paints at the photo's own
                size and this one enlarges that. "" for one pass.
            format: "png" or "webp", without loss, or "jpeg".
            language: Of error messages: "en" or "zh".

        Returns:
            The picture's file.
        """
        say = words(language)
        values = style, mix, share, scale, width, strength, detail, brush, color, seed, enlarger
        with friendly(say), new_folder(self.site.page) as folder:
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
        enlarger: str = "",
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
            enlarger: A network's name, such as "srcnn-x4": the style paints at the photo's own
                size and this one enlarges that. "" for one pass.
            language: Of error messages: "en" or "zh".

        Returns:
            Width and height in pixels, and seconds.
        """
        say = words(language)
        values = style, mix, share, scale, width, strength, detail, brush, color, seed, enlarger
        with friendly(say):
            size, order = self.studio.measure(uploaded(photo, say)), chosen(*values)
            height, wide = self.studio.target(size, order)
            seconds = self.studio.estimate(size, order)
        return {"width": wide, "height": height, "seconds": round(seconds, 1)}


class AnyStyleEndpoint:
    """The function behind the endpoint for any style."""

    def __init__(self, any_style: AnyStyle) -> None:
        self.any_style = any_style

    def paint_like(
        self,
        photo: Any,
        style_image: Any,
        scale: int = 2,
        strength: float = 1,
        language: str = "en",
    ) -> Iterator[Any]:
        """Enlarge a photo and paint it like another picture.

        Args:
            photo: A JPEG, PNG or WebP picture.
            style_image: The picture to paint like, with sides of at least 64 pixels.
            scale: 1, 2 or 4 times the photo's size.
            strength: Of the style: 0 for none, 1 for the style, up to 1.5.
            language: Of error messages: "en" or "zh".

        Returns:
            The picture's file.
        """
        say, tab = words(language), self.any_style
        with friendly(say), new_folder(tab.site.page) as folder:
            path, order = tab.order((photo, style_image, scale, strength), say)
            work = tab.studio.paint(path, folder, order)
            painting = yield from running(work, lambda _: None)
            yield str(painting.file)
