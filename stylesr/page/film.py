"""The tab Video: the first seconds of a clip in one style."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from stylesr.errors import InputError
from stylesr.orders import Choices, Footage
from stylesr.page.keeping import new_folder
from stylesr.page.parts import (
    HEAVY,
    LIGHT,
    MAX_FILE_MB,
    QUICK,
    Site,
    Spoken,
    Stoppable,
    action,
    bar,
    ended,
    first_style,
    friendly,
    refusal,
    running,
    strength_of,
    uploaded,
    verdicts,
)
from stylesr.page.words import Words, words
from stylesr.studio import FILM_SIDES, MAX_FILM_SECONDS, Studio

__all__ = ["Film", "build"]

USUAL = 16 / 9, 30  # shape and rate of the clips by which the limits are told


@dataclass
class Parts:
    """The tab's components."""

    clip: gr.Video
    style: gr.Dropdown
    side: gr.Radio
    strength: gr.Slider
    color: gr.Radio
    steady: gr.Checkbox
    start: gr.Button
    stop: gr.Button
    status: gr.HTML
    result: gr.Column
    played: gr.Video
    download: gr.DownloadButton


def build(studio: Studio, spoken: Spoken, language: gr.Radio, site: Site) -> "Film":
    """Lay the tab out and wire it; to be called inside of it."""
    film = Film(studio, lay_out(studio, spoken), site)
    wire(film, language)
    return film


def lay_out(studio: Studio, spoken: Spoken) -> Parts:
    """The clip and its settings beside the result."""
    base, styles = studio.names[0], studio.mixable
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            spoken(gr.Markdown, lambda w: {"value": w.video_intro})
            clip = spoken(
                gr.Video,
                lambda w: {"label": w.clip},
                sources=["upload"],
                height=240,
                buttons=[],
                elem_id="clip",
            )
            spoken(gr.HTML, lambda w: {"value": limits(studio, w)}, elem_classes="fine-print")
            style = spoken(
                gr.Dropdown,
                lambda w: {
                    "label": w.style,
                    "choices": [(w.way_name(base), base), *((w.style_name(s), s) for s in styles)],
                },
                value=first_style(studio),
                elem_id="video-style",
            )
            side = spoken(
                gr.Radio,
                lambda w: {
                    "label": w.video_side,
                    "choices": [(f"{n} px", n) for n in FILM_SIDES],
                },
                value=FILM_SIDES[0],
                elem_id="video-side",
            )
            strength = strength_of(spoken)
            color = spoken(
                gr.Radio,
                lambda w: {
                    "label": w.colors,
                    "choices": list(zip(w.color_names, ("style", "photo", "palette"), strict=True)),
                },
                value="style",
            )
            steady = spoken(
                gr.Checkbox,
                lambda w: {"label": w.video_steady},
                value=studio.can_steady,
                visible=studio.can_steady,
                elem_id="video-steady",
            )
        with gr.Column(scale=8, min_width=320, elem_classes="pane"):
            status, start, stop = action(spoken, "video")
            with gr.Column(visible=False, elem_id="video-result") as result:
                played = spoken(
                    gr.Video,
                    lambda w: {"label": w.result},
                    interactive=False,
                    loop=True,
                    buttons=[],
                    elem_id="played",
                )
                download = gr.DownloadButton(elem_id="video-download")
    asked = clip, style, side, strength, color, steady
    return Parts(*asked, start, stop, status, result, played, download)


def wire(film: "Film", language: gr.Radio) -> None:
    """Say which answer follows which of the visitor's actions."""
    p = film.parts
    asked = [p.clip, p.style, p.side, p.strength, p.color, p.steady, language]
    buttons = [p.start, p.stop, p.status]
    p.clip.change(film.look, [p.clip, language], [p.status, p.start], preprocess=False, **QUICK)
    run = p.start.click(film.begin, [p.clip, language], buttons, **LIGHT).success(
        film.run,
        asked,
        [p.status, p.result, p.played, p.download],
        validator=film.valid,
        api_visibility="private",
        **HEAVY,
    )
    film.follow(run, p, language)


class Film(Stoppable):
    """What the tab does on a visitor's actions.

    FFmpeg reads the clip where the work is done, never here: what is wrong with it is told when its
    turn comes.
    """

    def __init__(self, studio: Studio, parts: Parts, site: Site) -> None:
        self.studio, self.parts, self.site = studio, parts, site

    def _check(self, clip: Any, say: Words) -> None:
        if not clip:
            raise InputError(say.choose_clip)
        uploaded(clip, say)
        self.site.check_room(say)

    def look(self, clip: Any, language: str) -> tuple[str, Any]:
        """Offer to paint what was chosen."""
        say = words(language)
        return ended("" if clip else say.choose_clip), gr.Button(interactive=bool(clip))

    def valid(self, clip: Any, *rest: Any) -> list[Any]:
        """Refuse what was not uploaded, and a full line."""
        say = words(rest[-1])
        return verdicts(refusal(partial(self._check, clip, say), say), 1 + len(rest))

    def begin(self, clip: Any, language: str) -> tuple[Any, Any, str]:
        """Offer Stop."""
        say = words(language)
        with friendly(say):
            self._check(clip, say)
        return self.offer_stop(say)

    def run(
        self,
        clip: Any,
        style: str,
        side: int,
        strength: float,
        color: Any,
        steady: bool,
        language: str,
    ) -> Iterator[dict[Any, Any]]:
        """Paint the clip's first seconds."""
        say, p = words(language), self.parts
        with friendly(say), new_folder(self.site.page) as folder:
            path = uploaded(clip, say)
            yield {p.status: bar(say.starting, say)}
            order = Choices(style, strength=strength, color=color)
            work = self.studio.film(path, folder, order, side, steady=steady)
            footage = yield from running(work, lambda step: {p.status: bar(step, say, say.frame)})
            yield {
                p.status: ended(_report(footage, say)),
                p.result: gr.Column(visible=True),
                p.played: str(footage.file),
                p.download: _download(footage, say),
            }


def limits(studio: Studio, say: Words) -> str:
    """What a visitor should know before choosing a clip."""
    shape, rate = USUAL
    lengths = (studio.max_output_pixels / (side * side / shape) / rate for side in FILM_SIDES)
    shown = (
        say.video_length.format(side=side, seconds=f"{min(MAX_FILM_SECONDS, length):.1f}")
        for side, length in zip(FILM_SIDES, lengths, strict=True)
    )
    return say.video_limits.format(
        file=MAX_FILE_MB, lengths=say.comma.join(shown), rate=rate, seconds=f"{MAX_FILM_SECONDS:g}"
    )


def _report(footage: Footage, say: Words) -> str:
    done = say.video_done.format(frames=footage.frames, seconds=f"{footage.seconds:.0f}")
    return done if footage.whole else f"{done} · {say.video_cut}"


def _download(footage: Footage, say: Words) -> Any:
    text = say.video_file.format(
        width=footage.width,
        height=footage.height,
        length=f"{footage.length:.1f}",
        size=f"{footage.file.stat().st_size / 1e6:.1f}",
    )
    return gr.DownloadButton(text, value=str(footage.file), visible=True)
