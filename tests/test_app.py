"""The page in a real browser, with tiny random models."""

import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

import app
from stylesr.pipeline import Progress
from stylesr.studio import Painting, Studio
from tests import tiny

pytestmark = [
    pytest.mark.browser,
    # Gradio's queue uses what this pandas calls deprecated.
    pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting' is deprecated"),
    pytest.mark.filterwarnings("ignore:The copy keyword is deprecated"),
]

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
PATIENCE = 90_000  # milliseconds, on a busy machine

expect.set_options(timeout=PATIENCE)


# -- the page and the browser -----------------------------------------------------------------


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    folder = tmp_path_factory.mktemp("models")
    photo = tiny.photo()
    nets = {"photo": photo, "dots": tiny.style(photo, 1), "big-waves": tiny.style(photo, 2)}
    for name, net in nets.items():
        net.save_pretrained(folder / name)
    return Studio([folder / name for name in nets], max_output_pixels=1_100_000)


@pytest.fixture(scope="module")
def address(studio: Studio) -> Iterator[str]:
    page = app.build_page(studio)
    app.launch(page, prevent_thread_lock=True, quiet=True)
    assert page.local_url is not None
    yield page.local_url
    page.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Chromium, the browser, as `chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


class Visit:
    """One visitor's page, with what it said on the console and whom it asked for files."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.errors: list[str] = []
        self.strangers: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._note(request.url, address))
        page.goto(address)
        expect(self.slider_images.first).to_be_visible()  # the example: everything is there

    def _note(self, url: str, address: str) -> None:
        if not url.startswith((address, "data:", "blob:")):
            self.strangers.append(url)

    @property
    def slider_images(self) -> Any:
        return self.page.locator("#result .slider-wrap img, #result .image-container img")

    def button(self, name: str) -> Any:
        return self.page.get_by_role("button", name=name, exact=True)

    def upload(self, path: Path) -> None:
        self.page.set_input_files("#photo input[type=file]", path)

    def choose(self, label: str) -> None:
        self.page.get_by_label(label, exact=True).check()

    def paint(self, button: str = "Paint") -> None:
        self.button(button).click()
        expect(self.page.locator("#status")).to_contain_text("Done in")
        expect(self.button(button)).to_be_visible()

    def download(self) -> tuple[str, np.ndarray[Any, Any]]:
        with self.page.expect_download() as waiting:
            self.page.get_by_text("Download PNG").click()
        with Image.open(waiting.value.path()) as image:
            return waiting.value.suggested_filename, np.asarray(image)


Open = Callable[..., Visit]


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Open]:
    """`visit(size)` opens the page; it must keep its console clean and ask no one else."""
    contexts, visits = [], []

    def open_page(size: dict[str, int] = DESK) -> Visit:
        contexts.append(browser.new_context(viewport=size))
        visits.append(Visit(contexts[-1].new_page(), address))
        return visits[-1]

    yield open_page
    for context in contexts:
        context.close()
    assert [(v.errors, v.strangers) for v in visits] == [([], [])] * len(visits)


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    path = tmp_path / "cat.png"
    values = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)
    return path


# -- looking ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_page_opens_and_fits(visit: Open, size: dict[str, int]) -> None:
    page = visit(size).page
    assert page.title() == "stylesr"
    expect(page.get_by_label("Enlarge only", exact=True)).to_be_attached()
    expect(page.get_by_label("Big waves", exact=True)).to_be_attached()
    expect(page.get_by_text("An example: photo and Dots")).to_be_visible()
    expect(page.get_by_role("button", name="Paint")).to_be_disabled()
    assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
    thumbnail = "label => getComputedStyle(label, '::before').backgroundImage"
    images = [label.evaluate(thumbnail) for label in page.locator("#styles label").all()]
    assert len(set(images)) == 3  # each style has its own
    assert all(image.startswith('url("data:image/webp') for image in images)


def test_page_is_built_without_loading_models() -> None:
    assert isinstance(app.build_page(Studio(["no-such-model"])), gr.Blocks)


# -- painting ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_upload_paint_compare_download(
    visit: Open, studio: Studio, cat: Path, size: dict[str, int]
) -> None:
    v = visit(size)
    v.upload(cat)
    expect(v.page.locator("#size")).to_have_text("40 × 30 → 160 × 120 pixels")
    v.paint()

    name, pixels = v.download()
    assert name == "cat-dots-x4.png"
    expected = studio.pipeline(cat, style="dots", scale=4).images[0]
    assert np.array_equal(pixels, np.asarray(expected))

    expect(v.page.get_by_text("Photo and result")).to_be_visible()
    sides = "images => images.map(i => [i.naturalWidth, i.naturalHeight])"
    assert v.slider_images.evaluate_all(sides) == [[160, 120], [160, 120]]
    expect(v.slider_images.first).to_be_in_viewport()
    v.page.get_by_role("tab", name="Side by side").click()
    expect(v.page.get_by_text("Photo, enlarged")).to_be_visible()
    assert v.page.evaluate("document.documentElement.scrollWidth") == size["width"]


def test_options_reach_the_pipeline(visit: Open, studio: Studio, cat: Path) -> None:
    v = visit()
    v.upload(cat)
    style = v.page.get_by_label("Big waves", exact=True)
    style.focus()
    v.page.keyboard.press("Space")  # styles can be chosen without a mouse
    expect(style).to_be_checked()
    v.choose("2×")
    v.page.get_by_label("number input for Strength of the style").fill("0.5")
    v.page.get_by_text("Brush, colours, variation").click()
    v.choose("Medium")
    v.choose("Palette only")
    v.page.get_by_label("number input for Variation").fill("3")
    expect(v.page.locator("#size")).to_contain_text("80 × 60")
    v.paint()
    name, pixels = v.download()
    assert name == "cat-big-waves-x2.png"
    options: dict[str, Any] = {"strength": 0.5, "brush": 2, "color": "palette", "seed": 3}
    expected = studio.pipeline(cat, style="big-waves", scale=2, **options).images[0]
    assert np.array_equal(pixels, np.asarray(expected))


def test_enlarging_only_offers_no_painting(visit: Open, studio: Studio, tmp_path: Path) -> None:
    path = tmp_path / "cat.webp"
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    v = visit()
    v.upload(path)
    strength = v.page.get_by_text("Strength of the style")
    expect(strength).to_be_visible()
    v.choose("Enlarge only")
    expect(strength).to_be_hidden()
    v.paint("Enlarge")
    expect(v.page.locator("#status")).to_contain_text("first of 2 frames used")
    name, pixels = v.download()
    assert name == "cat-x4.png"
    expected = studio.pipeline(path, style="photo", scale=4).images[0]
    assert np.array_equal(pixels, np.asarray(expected))


def test_an_example_needs_no_photo(visit: Open) -> None:
    v = visit()
    v.page.locator("#examples button").first.click()
    expect(v.page.locator("#size")).to_have_text("256 × 256 → 1024 × 1024 pixels")
    v.choose("Same size")
    v.paint()
    assert v.download()[0] == "lion-dots-x1.png"


# -- stopping and refusing --------------------------------------------------------------------


class Endless:
    """Stands in for `Studio.paint`: never done, and says when it was closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def __call__(self, *_: Any, **__: Any) -> Generator[Progress, None, Painting]:
        try:
            for done in range(1, 100_000):
                time.sleep(0.05)
                yield Progress(done, 100_000, 0.05 * done)
        finally:
            self.closed.set()
        raise AssertionError("unreachable")


def test_stop_stops(
    visit: Open, studio: Studio, cat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    v = visit()
    v.upload(cat)
    endless = Endless()
    with monkeypatch.context() as patch:
        patch.setattr(studio, "paint", endless)
        v.button("Paint").click()
        expect(v.page.locator("#status")).to_contain_text("of 100000")
        expect(v.page.locator("#status progress")).to_be_visible()
        expect(v.button("Paint")).to_be_hidden()
        v.button("Stop").click()
        expect(v.page.locator("#status")).to_have_text("Stopped.")
        assert endless.closed.wait(20)
    expect(v.button("Stop")).to_be_hidden()
    v.paint()


def test_what_cannot_be_painted_is_refused_and_the_page_goes_on(
    visit: Open, cat: Path, tmp_path: Path
) -> None:
    notes, bomb, photo = (tmp_path / f"{name}.png" for name in ("notes", "bomb", "photo"))
    notes.write_text("no picture", encoding="utf-8")
    Image.new("1", (13_000, 13_000)).save(bomb)
    Image.new("RGB", (400, 300)).save(photo)
    v = visit()
    message = "'notes.png' is not a JPEG, PNG, WebP, TIFF or BMP picture"
    for file, text in [(notes, message), (bomb, "at most 25,000,000 are accepted")]:
        v.upload(file)
        expect(v.page.get_by_text(text)).to_be_visible()
        expect(v.page.locator("#photo img")).to_have_count(0)
        expect(v.button("Paint")).to_be_disabled()

    v.upload(photo)  # good, but four times as large it is not
    expect(v.page.locator("#size")).to_contain_text("more than 1.1 megapixels")
    expect(v.button("Paint")).to_be_disabled()
    v.choose("2×")
    expect(v.page.locator("#size")).to_have_text("400 × 300 → 800 × 600 pixels")
    v.paint()


def test_an_error_in_the_work_is_told(
    visit: Open, studio: Studio, cat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    v = visit()
    v.upload(cat)
    with monkeypatch.context() as patch:
        patch.setattr(studio, "models", ["no-such-model"])
        patch.delattr(studio, "_pipeline")
        v.button("Paint").click()
        expect(v.page.get_by_text("no model 'no-such-model'")).to_be_visible()
    expect(v.page.locator("#status")).to_have_text("Stopped.")
    v.paint()
