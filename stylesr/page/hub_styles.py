"""The tab Hub: styles that other people have published, found and painted on request.

It is there where `STYLESR_DISCOVERY=1` or `build_page(discovery=True)` asks for it: what strangers
publish nobody has looked through. A model is loaded as `discovery` does it: the commit that was
listed, only StyleSRNets, only up to a size.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from stylesr.discovery import Found, discover
from stylesr.errors import InputError
from stylesr.orders import Choices
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
    friendly,
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

__all__ = ["HubStyles", "build"]

KEEP_SECONDS = 600  # of the list: the Hub is not asked more often, however many visitors there are
MOST = 60  # styles in it

LIST = (
    '<ul style="display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:12px;'
    'list-style:none;padding:0">{}</ul>'
)
CARD = (
    '<li>{picture}<a href="{page}" target="_blank" rel="noopener noreferrer nofollow" '
    'style="margin:0;padding:0">{name}</a>'
    '<br><span class="fine-print">{by}</span></li>'
)
PICTURE = (
    '<img src="{address}" alt="" loading="lazy" referrerpolicy="no-referrer" '
    'style="width:100%;aspect-ratio:4/3;object-fit:cover;border-radius:8px">'
)


@dataclass
class Parts:
    """The tab's components."""

    find: gr.Button
    cards: gr.HTML
    style: gr.Dropdown
    photo: gr.Image
    scale: gr.Radio
    strength: gr.Slider
    start: gr.Button
    stop: gr.Button
    status: gr.HTML
    slider: gr.ImageSlider
    download: gr.DownloadButton


def build(studio: Studio, spoken: Spoken, language: gr.Radio, site: Site) -> "HubStyles":
    """Lay the tab out and wire it; to be called inside of it."""
    styles = HubStyles(studio, lay_out(spoken), site)
    wire(styles, language)
    return styles


def lay_out(spoken: Spoken) -> Parts:
    """The list, one style of it, the photo, the button, the result."""
    with gr.Column(elem_id="hub"):
        spoken(gr.Markdown, lambda w: {"value": w.hub_intro})
        find = spoken(gr.Button, lambda w: {"value": w.hub_find}, scale=0, elem_id="hub-find")
        cards = gr.HTML(elem_id="hub-cards")
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=320):
                style = spoken(
                    gr.Dropdown,
                    lambda w: {"label": w.style},
                    choices=[],
                    interactive=True,
                    elem_id="hub-style",
                )
                photo = spoken(
                    gr.Image,
                    lambda w: {"label": w.photo, "placeholder": w.drop},
                    type="filepath",
                    format="png",
                    sources=["upload", "clipboard"],
                    height=210,
                    elem_id="hub-photo",
                )
                scale = factor(spoken, 2)
                strength = strength_of(spoken)
            with gr.Column(scale=8, min_width=320, elem_classes="pane"):
                status, start, stop = action(spoken, "hub")
                slider = gr.ImageSlider(
                    label=" ", format="png", max_height=620, visible=False, elem_id="hub-result"
                )
                download = gr.DownloadButton(visible=False, elem_id="hub-download")
    return Parts(find, cards, style, photo, scale, strength, start, stop, status, slider, download)


def wire(styles: "HubStyles", language: gr.Radio) -> None:
    """Say which answer follows which of the visitor's actions."""
    p = styles.parts
    asked = [p.photo, p.style, p.scale, p.strength, language]
    buttons = [p.start, p.stop, p.status]
    p.find.click(styles.find, language, [p.cards, p.style], **PRIVATE)
    gr.on(
        [p.photo.change, p.style.change, p.scale.change],
        styles.look,
        asked,
        [p.status, p.start],
        preprocess=False,
        **QUICK,
    )
    run = p.start.click(styles.begin, asked, buttons, **LIGHT).success(
        styles.paint,
        asked,
        [p.status, p.slider, p.download],
        validator=styles.valid,
        api_visibility="private",
        **HEAVY,
    )
    styles.follow(run, p, language)


class HubStyles(Stoppable):
    """What the tab does on a visitor's actions."""

    def __init__(self, studio: Studio, parts: Parts, site: Site) -> None:
        self.studio, self.parts, self.site = studio, parts, site
        self._lock = threading.Lock()
        self._found: dict[str, Found] = {}  # by id and commit: all that was ever listed
        self._list: list[Found] = []
        self._listed = float("-inf")

    def listed(self) -> list[Found]:
        """What the Hub has, asked at most every ten minutes.

        Raises:
            HubError: it cannot be reached.
        """
        with self._lock:
            if time.monotonic() - self._listed > KEEP_SECONDS:
                self._list = discover(MOST)
                self._found |= {found.source: found for found in self._list}
                self._listed = time.monotonic()
            return self._list

    def find(self, language: str) -> tuple[str, Any]:
        """Show what others have published."""
        say = words(language)
        with friendly(say):
            found = self.listed()
        if not found:
            return ended(say.hub_none), gr.Dropdown(choices=[], value=None)
        choices = [(f"{one.name} · {one.author}", one.source) for one in found]
        cards = "".join(_card(one, say) for one in found)
        return LIST.format(cards), gr.Dropdown(choices=choices, value=choices[0][1])

    def _check(self, asked: Sequence[Any], say: Words) -> tuple[str, Found, Choices]:
        """The file, the style and what to make; only what was listed is ever loaded."""
        photo, style, scale, strength = asked
        if style not in self._found:
            raise InputError(say.hub_choose)
        found = self._found[style]
        order = Choices(found.name, scale=scale, strength=strength)
        path = uploaded(photo, say)
        self.studio.target(self.studio.measure(path), order)
        return path, found, order

    def look(self, *asked: Any) -> tuple[str, Any]:
        """Refuse what would be too large as soon as it is chosen."""
        *values, language = asked
        say = words(language)
        reason = refusal(lambda: self._check(values, say), say)
        return ended(reason if values[0] else ""), gr.Button(interactive=not reason)

    def valid(self, *asked: Any) -> list[Any]:
        """Refuse it before it stands in the queue."""
        *values, language = asked
        say = words(language)
        reason = refusal(lambda: self._check(values, say), say)
        return verdicts(reason or refusal(partial(self.site.check_room, say), say), len(asked))

    def begin(self, *asked: Any) -> tuple[Any, Any, str]:
        """Offer Stop."""
        *values, language = asked
        say = words(language)
        with friendly(say):
            self._check(values, say)
            self.site.check_room(say)
        return self.offer_stop(say)

    def paint(self, *asked: Any) -> Iterator[dict[Any, Any]]:
        """Load the style and paint."""
        *values, language = asked
        say, p = words(language), self.parts
        with friendly(say), new_folder(self.site.page) as folder:
            path, found, order = self._check(values, say)
            yield {p.status: bar(say.hub_loading, say), p.download: gr.update(visible=False)}
            work = self.studio.paint_found(found, path, folder, order)
            painting = yield from running(work, lambda step: {p.status: self._step(step, say)})
            files = str(painting.before), str(painting.after)
            label = say.photo_and_result.format(before=say.photo_enlarged)
            yield {
                p.status: ended(say.done.format(seconds=f"{painting.seconds:.1f}")),
                p.slider: gr.ImageSlider(files, label=label, visible=True),
                p.download: offered(painting, painting.file, say),
            }

    def _step(self, step: Any, say: Words) -> str:
        return bar(step if isinstance(step, Progress) else say.sketch, say)


def _card(found: Found, say: Words) -> str:
    """Strangers' words, safe as HTML."""
    by = say.hub_by.format(author=found.author, licence=found.licence or say.hub_no_licence)
    picture = PICTURE.format(address=escape(found.thumbnail)) if found.thumbnail else ""
    return CARD.format(
        picture=picture, page=escape(found.page), name=escape(found.name), by=escape(by)
    )
