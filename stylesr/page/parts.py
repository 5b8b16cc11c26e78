"""What the tabs share: components whose words follow the language, uploads, progress, errors."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from html import escape
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from gradio.context import LocalContext
from gradio.media import MEDIA_ROOT
from gradio.utils import get_upload_folder

from stylesr.errors import InputError, StyleSRError
from stylesr.orders import Choices, Painting
from stylesr.page.visitors import visitor
from stylesr.page.words import ENGLISH, Words, words
from stylesr.pipeline import Progress
from stylesr.studio import Studio

__all__ = [
    "EXAMPLES",
    "HEAVY",
    "LIGHT",
    "MAX_FILE_MB",
    "PRIVATE",
    "QUICK",
    "Site",
    "Spoken",
    "Stoppable",
    "action",
    "bar",
    "chosen",
    "ended",
    "factor",
    "first_style",
    "friendly",
    "functions",
    "offer_examples",
    "offered",
    "refusal",
    "running",
    "strength_of",
    "uploaded",
    "verdicts",
]

C = TypeVar("C")

# Photos that come with Gradio; where a version has some of them no more, the others are offered.
EXAMPLES = [
    str(path)
    for path in (MEDIA_ROOT / "images" / name for name in ("lion.jpg", "tower.jpg", "cheetah1.jpg"))
    if path.is_file()
]
MAX_FILE_MB = 10
MOST_WAITING = 16
MOST_OF_ONE = 4  # of these, of one visitor: who has several pages open, or a family
FIRST_STYLE = "starry-night"

# Keywords of events.
PRIVATE: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
QUICK: dict[str, Any] = {"queue": False, **PRIVATE}
LIGHT: dict[str, Any] = {"concurrency_limit": 8, "preprocess": False, **PRIVATE}  # may refuse
HEAVY: dict[str, Any] = {  # one at a time, for all visitors and tabs
    "concurrency_id": "heavy",
    "concurrency_limit": 1,
    "show_progress": "hidden",
    "preprocess": False,  # Gradio would open photos with all of Pillow's decoders
}


class Spoken:
    """Makes components in the first language, and tells what to change for another."""

    def __init__(self) -> None:
        self._spoken: list[tuple[Any, Callable[[Words], dict[str, Any]]]] = []

    def __call__(
        self, kind: Callable[..., C], say: Callable[[Words], dict[str, Any]], **rest: Any
    ) -> C:
        """A component of a kind: `say` gives the keywords that are words, `rest` has the others."""
        component = kind(**say(ENGLISH), **rest)
        self.follow(component, say)
        return component

    def follow(self, component: object, say: Callable[[Words], dict[str, Any]]) -> None:
        """Let a component made elsewhere follow the language too."""
        self._spoken.append((component, say))

    def updates(self, say: Words) -> dict[Any, Any]:
        """What to change, by component."""
        return {component: gr.update(**text(say)) for component, text in self._spoken}

    @property
    def components(self) -> list[Any]:
        """All that follow the language."""
        return [component for component, _ in self._spoken]


def factor(spoken: Spoken, value: int) -> gr.Radio:
    """How much larger the result is to be."""
    return spoken(
        gr.Radio,
        lambda w: {"label": w.enlarge, "choices": [(w.same_size, 1), ("2×", 2), ("4×", 4)]},
        value=value,
    )


def strength_of(spoken: Spoken) -> gr.Slider:
    """How strong a style is."""
    return spoken(
        gr.Slider, lambda w: {"label": w.strength}, minimum=0, maximum=1.5, value=1, step=0.05
    )


def action(
    spoken: Spoken, name: str, verb: Callable[[Words], str] = lambda w: w.paint
) -> tuple[gr.HTML, gr.Button, gr.Button]:
    """A row with the status, the button that starts the work, and Stop in its place.

    In a column of the class "pane" the empty place below says what will be there.
    """
    with gr.Row():
        status = gr.HTML(elem_id=f"{name}-status", elem_classes="progress")
        start = spoken(
            gr.Button,
            lambda w: {"value": verb(w)},
            variant="primary",
            interactive=False,
            scale=0,
            elem_id=f"{name}-start",
        )
        stop = spoken(
            gr.Button,
            lambda w: {"value": w.stop},
            visible=False,
            scale=0,
            elem_id=f"{name}-stop",
        )
    spoken(gr.HTML, lambda w: {"value": f'<p class="placeholder">{w.result_here}</p>'})
    return status, start, stop


class Stoppable:
    """The start button of heavy work, and Stop in its place while that goes on."""

    def follow(self, run: Any, tab: Any, language: gr.Radio, *others: Any) -> None:
        """Once the work is done, offer to start again; let Stop end it.

        Args:
            run: the event that does it.
            tab: the tab's components: `start`, `stop` and `status`.
            language: of the words.
            others: further events that Stop ends.
        """
        buttons = [tab.start, tab.stop, tab.status]
        run.success(self.end, None, buttons[:2], **QUICK)
        run.failure(self.halt, language, buttons, **QUICK)
        tab.stop.click(self.halt, language, buttons, cancels=[run, *others], **QUICK)

    def offer_stop(self, say: Words) -> tuple[Any, Any, str]:
        """The work waits for its turn."""
        return gr.Button(visible=False), gr.Button(visible=True), bar(say.waiting, say)

    def end(self) -> tuple[Any, Any]:
        """Offer to start again."""
        return gr.Button(visible=True), gr.Button(visible=False)

    def halt(self, language: str) -> tuple[Any, Any, str]:
        """Confirm the stop, asked for or not."""
        return *self.end(), ended(words(language).stopped)


def offer_examples(photo: gr.Image, spoken: Spoken, name: str) -> None:
    """Photos to try, below the place for the visitor's own."""
    if EXAMPLES:
        row = gr.Examples(EXAMPLES, photo, label=ENGLISH.try_one, preload=False, elem_id=name)
        spoken.follow(row.dataset, lambda w: {"label": w.try_one})


def offered(painting: Painting, file: Path, say: Words) -> gr.DownloadButton:
    """A painting's file to download, in one of its formats."""
    text = say.download.format(
        format={".jpg": "JPEG", ".webp": "WebP"}.get(file.suffix, "PNG"),
        width=painting.width,
        height=painting.height,
        size=f"{file.stat().st_size / 1e6:.1f}",
    )
    return gr.DownloadButton(text, value=str(file), visible=True)


def first_style(studio: Studio) -> str:
    """The style that is chosen at first."""
    if FIRST_STYLE in studio.styles:
        return FIRST_STYLE
    return next(iter(studio.mixable), studio.names[0])


def uploaded(photo: Any, say: Words, *, missing: str = "") -> str:
    """The file that Gradio's value of an Image or File stands for.

    Raises:
        InputError: there is none, which `missing` says if given, or it is one of this machine's
            that nobody uploaded.
    """
    path = photo.get("path") if isinstance(photo, dict) else None
    if not path or not isinstance(path, str):
        raise InputError(missing or say.choose)
    if not Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve()):
        raise InputError(say.not_uploaded)
    return path


def chosen(
    style: str,
    mix: str | None,
    share: float,
    scale: str,
    width: int | None,
    strength: float,
    detail: float,
    brush: str,
    color: Any,
    seed: int,
    enlarger: str | None = None,
) -> Choices:
    """The values of the page's components, as they are sent, as a visitor's choices.

    Numbers among several choices are texts, as Gradio tells tools; a program may send numbers.
    """
    return Choices(
        style=style,
        mix=mix or None,
        share=share,
        scale=4 if scale == "width" else _number(scale),
        width=(width or 0) if scale == "width" else None,
        strength=strength,
        detail=detail,
        brush=None if brush == "auto" else _number(brush),
        color=color,
        seed=seed,
        enlarger=enlarger or None,
    )


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def functions(page: gr.Blocks) -> dict[int | str, dict[str, str]]:
    """What the page's functions take, by number, and those for programs by name: for the guard."""
    taken: dict[int | str, dict[str, str]] = {}
    for number, function in page.fns.items():
        kinds = [_kind(component) for component in function.inputs]
        taken[number] = {f"value {place}": kind for place, kind in enumerate(kinds)}
        if function.fn and function.api_name and function.api_visibility == "public":
            names = signature(function.fn).parameters
            taken[number] = taken[function.api_name] = dict(zip(names, kinds, strict=True))
    return taken


def _kind(component: Any) -> str:
    if isinstance(component, gr.Image | gr.File | gr.Video):
        return "files" if getattr(component, "file_count", "single") == "multiple" else "file"
    if isinstance(component, gr.State):
        return "state"
    return "place" if isinstance(component, gr.Dataset) else "setting"


class Site:
    """The page as its tabs know it, and whether its line has room."""

    def __init__(self, page: gr.Blocks) -> None:
        self.page = page

    def check_room(self, say: Words) -> None:
        """Raise InputError if too many are waiting for heavy work, or too many of this visitor's.

        Gradio's own bound counts light work too: a full line would leave newcomers an empty page.
        """
        line = self.page._queue.event_queue_per_concurrency_id.get(HEAVY["concurrency_id"])
        waiting = line.queue if line else []
        if len(waiting) >= MOST_WAITING:
            raise InputError(say.busy)
        request = LocalContext.request.get(None)
        if request is None:  # no one asks from outside
            return
        visitors = [visitor(event.request) for event in waiting]
        if visitors.count(visitor(request)) >= MOST_OF_ONE:
            raise InputError(say.yours.format(count=MOST_OF_ONE))


@contextmanager
def friendly(say: Words) -> Iterator[None]:
    """Show the visitor what went wrong, and what would work."""
    try:
        yield
    except StyleSRError as error:
        raise gr.Error(say.say(error), title=say.error_title, print_exception=False) from error


def refusal(check: Callable[[], object], say: Words) -> str:
    """Why a check refuses; nothing where it does not."""
    try:
        check()
    except StyleSRError as error:
        return say.say(error)
    return ""


def verdicts(reason: str, count: int) -> list[Any]:
    """What a `validator=` returns for an event of `count` inputs, of which the first is judged."""
    return [gr.validate(not reason, reason)] + [gr.validate(True, "")] * (count - 1)


def running(work: Generator[Any, None, C], show: Callable[[Any], Any]) -> Generator[Any, None, C]:
    """Run to the end and return the value; what is yielded goes through `show`."""
    while True:
        try:
            step = next(work)
        except StopIteration as end:
            value: C = end.value
            return value
        yield show(step)


def bar(step: Progress | str, say: Words, count: str = "") -> str:
    """A progress bar with tiles and time, or with a text and no measure.

    Args:
        step: how far it is, or the text.
        say: the visitor's language.
        count: a sentence like `say.tile`, where not tiles are counted.
    """
    if isinstance(step, str):
        text, done = step, ""
    else:
        left = step.seconds / step.done * (step.total - step.done)
        rest = say.left.format(seconds=f"{left:.0f}") if step.done < step.total else say.writing
        seconds = f"{step.seconds:.0f}"
        place = (count or say.tile).format(done=step.done, total=step.total, seconds=seconds)
        text, done = f"{place}, {rest}", f' value="{step.done / step.total:.3f}"'
    return (
        f'<div class="running" role="status"><span>{escape(text)}</span>'
        f'<progress aria-label="{escape(text)}"{done}></progress></div>'
    )


def ended(text: str) -> str:
    """A line that screen readers tell."""
    return f'<div role="status">{text}</div>'
