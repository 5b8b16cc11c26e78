"""The tab Batch: several photos in one style, one zip file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from stylesr.orders import Batch, Choices
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
    factor,
    first_style,
    friendly,
    refusal,
    running,
    strength_of,
    uploaded,
    verdicts,
)
from stylesr.page.words import Words, words
from stylesr.studio import Studio

__all__ = ["Several", "build"]


@dataclass
class Parts:
    """The tab's components."""

    photos: gr.File
    style: gr.Dropdown
    scale: gr.Radio
    strength: gr.Slider
    start: gr.Button
    stop: gr.Button
    status: gr.HTML
    download: gr.DownloadButton


def build(studio: Studio, spoken: Spoken, language: gr.Radio, site: Site) -> "Several":
    """Lay the tab out and wire it; to be called inside of it."""
    several = Several(studio, lay_out(studio, spoken), site)
    wire(several, language)
    return several


def lay_out(studio: Studio, spoken: Spoken) -> Parts:
    """Photos and settings, the button, the file."""
    base, styles = studio.names[0], studio.mixable
    with gr.Column(elem_id="batch"):
        spoken(gr.Markdown, lambda w: {"value": w.batch_intro})
        photos = spoken(
            gr.File,
            lambda w: {"label": w.photos},
            file_count="multiple",
            file_types=[".jpg", ".jpeg", ".png", ".webp"],
            height=200,
            elem_id="batch-photos",
        )
        spoken(gr.HTML, lambda w: {"value": limits(studio, w)}, elem_classes="fine-print")
        with gr.Row():
            style = spoken(
                gr.Dropdown,
                lambda w: {
                    "label": w.style,
                    "choices": [(w.way_name(base), base), *((w.style_name(s), s) for s in styles)],
                },
                value=first_style(studio),
                elem_id="batch-style",
            )
            scale = factor(spoken, 2)
            strength = strength_of(spoken)
        status, start, stop = action(spoken, "batch")
        download = gr.DownloadButton(visible=False, elem_id="batch-download")
    return Parts(photos, style, scale, strength, start, stop, status, download)


def wire(several: "Several", language: gr.Radio) -> None:
    """Say which answer follows which of the visitor's actions."""
    p = several.parts
    asked = [p.photos, p.style, p.scale, p.strength, language]
    buttons = [p.start, p.stop, p.status]
    gr.on(
        [p.photos.change, p.scale.change],
        several.look,
        asked,
        [p.status, p.start],
        preprocess=False,
        **QUICK,
    )
    run = p.start.click(several.begin, asked, buttons, **LIGHT).success(
        several.run,
        asked,
        [p.status, p.download],
        validator=several.valid,
        api_visibility="private",
        **HEAVY,
    )
    several.follow(run, p, language)


class Several(Stoppable):
    """What the tab does on a visitor's actions."""

    def __init__(self, studio: Studio, parts: Parts, site: Site) -> None:
        self.studio, self.parts, self.site = studio, parts, site

    def _check(self, photos: Any, order: Choices, say: Words) -> list[str]:
        files = [uploaded(photo, say) for photo in photos or [None]]
        self.studio.check_batch(files, order)
        return files

    def look(
        self, photos: Any, style: str, scale: int, strength: float, language: str
    ) -> tuple[str, Any]:
        """Refuse too many pictures or pixels as soon as they are chosen."""
        say, order = words(language), Choices(style, scale=scale, strength=strength)
        reason = refusal(partial(self._check, photos, order, say), say)
        return ended(reason if photos else ""), gr.Button(interactive=not reason)

    def valid(
        self, photos: Any, style: str, scale: int, strength: float, language: str
    ) -> list[Any]:
        """Refuse too many pictures or pixels before they stand in the queue."""
        say, order = words(language), Choices(style, scale=scale, strength=strength)
        reason = refusal(partial(self._check, photos, order, say), say)
        return verdicts(reason or refusal(partial(self.site.check_room, say), say), 5)

    def begin(
        self, photos: Any, style: str, scale: int, strength: float, language: str
    ) -> tuple[Any, Any, str]:
        """Offer Stop."""
        say, order = words(language), Choices(style, scale=scale, strength=strength)
        with friendly(say):
            self._check(photos, order, say)
            self.site.check_room(say)
        return self.offer_stop(say)

    def run(
        self, photos: Any, style: str, scale: int, strength: float, language: str
    ) -> Iterator[dict[Any, Any]]:
        """Paint all photos into one file."""
        say, p = words(language), self.parts
        order = Choices(style, scale=scale, strength=strength)
        with friendly(say), new_folder(self.site.page) as folder:
            files = self._check(photos, order, say)
            yield {p.status: bar(say.starting, say), p.download: gr.update(visible=False)}
            work = self.studio.batch(files, folder, order)
            batch = yield from running(work, lambda step: {p.status: bar(step, say)})
            yield {p.status: ended(_report(batch, files, say)), p.download: _download(batch, say)}


def limits(studio: Studio, say: Words) -> str:
    """What a visitor should know before choosing photos."""
    return say.batch_limits.format(
        count=studio.max_batch,
        file=MAX_FILE_MB,
        input=f"{studio.max_input_pixels / 1e6:g}",
        output=f"{studio.max_output_pixels / 1e6:g}",
    )


def _report(batch: Batch, files: Sequence[str], say: Words) -> str:
    done = say.batch_done.format(
        painted=batch.painted, total=len(files), seconds=f"{batch.seconds:.1f}"
    )
    failed = (f"<li>{say.say(reason)}</li>" for _, reason in batch.failed)
    return f"{done}<ul>{''.join(failed)}</ul>" if batch.failed else done


def _download(batch: Batch, say: Words) -> Any:
    if batch.file is None:
        return gr.DownloadButton(visible=False)
    text = say.batch_file.format(size=f"{batch.file.stat().st_size / 1e6:.1f}")
    return gr.DownloadButton(text, value=str(batch.file), visible=True)
