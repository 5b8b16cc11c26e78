"""The page in a real browser, with tiny random models."""

import re
import shutil
import threading
import time
import zipfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

import app
from stylesr.errors import InputError
from stylesr.models import SRCNN, TransformerNet
from stylesr.orders import Painting
from stylesr.page import parts
from stylesr.page.words import CHINESE, ENGLISH, Words
from stylesr.pipeline import Progress
from stylesr.studio import Studio
from tests import tiny
from tests.test_any_style import painter
from tests.test_studio import pan

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
PATIENCE = 40_000  # milliseconds, on a busy machine

expect.set_options(timeout=PATIENCE)


# -- the page and the browser -----------------------------------------------------------------


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    folder = tmp_path_factory.mktemp("models")
    photo = tiny.photo()
    styles = {"dots": tiny.style(photo, 1), "big-waves": tiny.style(photo, 2)}
    others = {"srcnn-x4": SRCNN(channels=4), "udnie": TransformerNet(channels=4, blocks=1)}
    nets = {"photo": photo, **styles, **others}
    for name, net in nets.items():
        net.save_pretrained(folder / name)
    painter().save_pretrained(folder / "any-style")
    return Studio([folder / name for name in (*nets, "any-style")], max_output_pixels=1_100_000)


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

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name, exact=True).click()

    def upload(self, path: Path, place: str = "#photo") -> None:
        self.page.set_input_files(f"{place} input[type=file]", path)

    def choose(self, label: str, place: str = "#tabs") -> None:
        self.page.locator(place).get_by_label(label, exact=True).first.check()

    def pick(self, place: str, label: str) -> None:
        self.page.locator(f"{place} input").click()
        self.page.get_by_role("option", name=label, exact=True).click()

    def paint(self, done: str = "Done in") -> None:
        self.page.locator("#start").click()
        expect(self.page.locator("#status")).to_contain_text(done)
        expect(self.page.locator("#start")).to_be_visible()

    def download(self, place: str = "#download") -> tuple[str, Path]:
        with self.page.expect_download() as waiting:
            self.page.locator(place).click()
        return waiting.value.suggested_filename, waiting.value.path()

    def fits(self) -> bool:
        assert self.page.viewport_size is not None
        width = self.page.evaluate("document.documentElement.scrollWidth")
        return bool(width == self.page.viewport_size["width"])


Open = Callable[..., Visit]


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Open]:
    """`visit(size)` opens the page; it must keep its console clean and ask no one else."""
    contexts, visits = [], []

    def open_page(size: dict[str, int] = DESK, locale: str = "en-GB") -> Visit:
        contexts.append(browser.new_context(viewport=size, locale=locale))
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


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A picture large enough to paint like."""
    path = tmp_path / "work.png"
    values = np.random.default_rng(1).integers(0, 256, (80, 100, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)
    return path


# -- looking ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "locale", "say", "paint", "example"),
    [
        (DESK, "en-GB", ENGLISH, "Paint", "An example: photo and Dots"),
        (PHONE, "zh-HK", CHINESE, "绘制", "示例：照片与Dots"),
    ],
    ids=["desk", "phone"],
)
def test_page_opens_in_the_browsers_language_and_fits(
    visit: Open, size: dict[str, int], locale: str, say: Words, paint: str, example: str
) -> None:
    v = visit(size, locale)
    assert v.page.title() == "stylesr"
    expect(v.page.get_by_text(example)).to_be_visible()
    expect(v.page.locator("#start")).to_have_text(paint)
    expect(v.page.locator("#start")).to_be_disabled()
    lang = {"en-GB": "en"}.get(locale, "zh-CN")
    v.page.wait_for_function("lang => document.documentElement.lang === lang", arg=lang)
    for tab in say.tabs.values():
        v.tab(tab)
        assert v.fits()
    thumbnail = "label => getComputedStyle(label, '::before').backgroundImage"
    styled = "document.querySelector('#thumbnails style')?.textContent.includes('nth-of-type(4)')"
    v.page.wait_for_function(styled)
    images = [label.evaluate(thumbnail) for label in v.page.locator("#styles label").all()]
    assert len(set(images)) == 4  # each style has its own
    assert all(image.startswith('url("data:image/webp') for image in images)


def test_page_is_built_without_loading_models() -> None:
    assert isinstance(app.build_page(Studio(["no-such-model"])), gr.Blocks)


def test_examples_may_be_shown_wherever_gradio_is_installed() -> None:
    page: Any = SimpleNamespace(fns={}, launch=lambda **options: options)
    assert app.launch(page)["allowed_paths"] == parts.EXAMPLES != []


def test_the_guard_is_told_what_functions_take(studio: Studio) -> None:
    functions = parts.functions(app.build_page(studio))
    assert functions["paint_like"] == {
        "photo": "file",
        "style_image": "file",
        "scale": "setting",
        "strength": "setting",
        "language": "setting",
    }
    assert functions[0] == {"value 0": "place"}  # of an example
    assert functions[2] == {"value 0": "state", "value 1": "setting"}


def test_styles_of_the_hub_are_offered_only_if_asked_for(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def has_tab(**options: Any) -> bool:
        page = app.build_page(studio, **options)
        return "Hub" in [b.label for b in page.blocks.values() if isinstance(b, gr.Tab)]

    assert not has_tab() and has_tab(discovery=True)
    monkeypatch.setenv("STYLESR_DISCOVERY", "1")
    assert has_tab() and not has_tab(discovery=False)


# -- creating ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_upload_paint_compare_download(
    visit: Open, studio: Studio, cat: Path, size: dict[str, int]
) -> None:
    v = visit(size)
    v.upload(cat)
    expect(v.page.locator("#size")).to_have_text(re.compile("40 × 30 → 160 × 120 · ≈ 1 s"))
    v.paint()
    expected = studio.pipeline(cat, style="dots", scale=4).images[0]
    name, file = v.download()
    assert name == "cat-dots-x4.png"
    assert np.array_equal(pixels(file), np.asarray(expected))

    expect(v.page.get_by_text("Photo, enlarged · result")).to_be_visible()
    sides = "images => images.map(i => [i.naturalWidth, i.naturalHeight])"
    assert v.slider_images.evaluate_all(sides) == [[160, 120], [160, 120]]
    expect(v.slider_images.first).to_be_in_viewport()

    v.choose("WebP, lossless", "#format")
    expect(v.page.locator("#download")).to_contain_text("Download WebP, 160 × 120")
    name, file = v.download()
    assert name == "cat-dots-x4.webp"
    assert np.array_equal(pixels(file), np.asarray(expected))

    v.pick("#other", "Style first, then enlarge")
    expect(v.page.get_by_text("Style first, then enlarge · result")).to_be_visible()
    v.tab("Side by side")
    expect(v.page.get_by_alt_text("Style first, then enlarge")).to_be_visible()
    expect(v.page.get_by_alt_text("Result", exact=True)).to_be_visible()
    assert v.fits()


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_side_by_side_both_pictures_zoom_and_move(visit: Open, size: dict[str, int]) -> None:
    v = visit(size)
    v.tab("Side by side")
    keys, level = v.page.get_by_role("group", name="Zoom both pictures"), v.page.locator("output")
    transforms = "images => images.map(image => getComputedStyle(image).transform)"

    def seen() -> str:
        left, right = v.page.locator("#pair img").evaluate_all(transforms)
        assert left == right
        return str(left)

    keys.get_by_role("button", name="Zoom in").focus()
    v.page.keyboard.press("Enter")
    expect(level).to_have_text("200 %")
    v.page.keyboard.press("+")
    expect(level).to_have_text("400 %")
    middle = seen()
    v.page.keyboard.press("ArrowRight")
    right = seen()
    assert right != middle
    v.page.keyboard.press("ArrowLeft")
    assert seen() == middle
    box = v.page.locator("#pair .image-frame").last.bounding_box()
    assert box is not None
    v.page.mouse.move(box["x"] + 30, box["y"] + 30)
    v.page.mouse.wheel(0, -300)
    expect(level).to_have_text("800 %")
    corner = seen()
    v.page.mouse.down()
    v.page.mouse.move(box["x"] + 60, box["y"] + 50)
    v.page.mouse.up()
    assert seen() != corner
    keys.get_by_role("button", name="Show all").click()
    expect(level).to_have_text("100 %")
    assert seen() == "matrix(1, 0, 0, 1, 0, 0)"
    assert v.fits()


def test_options_reach_the_pipeline(visit: Open, studio: Studio, cat: Path) -> None:
    v = visit()
    v.upload(cat)
    style = v.page.locator("#styles").get_by_label("Big waves", exact=True)
    style.focus()
    v.page.keyboard.press("Space")  # styles can be chosen without a mouse
    expect(style).to_be_checked()
    v.choose("Width…")
    v.page.get_by_label("Width of the result in pixels").fill("100")
    v.page.get_by_label("number input for Strength of the style").first.fill("0.5")
    v.page.get_by_text("Mix, brush, colours, variation, chain").click()
    v.pick("#mix", "Dots")
    v.page.get_by_label("number input for Share of the second style").fill("0.25")
    v.choose("Medium")
    v.choose("Palette only")
    v.page.get_by_label("number input for Variation").fill("3")
    expect(v.page.locator("#size")).to_contain_text("100 × 75")
    v.paint()
    name, file = v.download()
    assert name == "cat-big-waves-dots-100px.png"
    options: dict[str, Any] = {"strength": 0.5, "brush": 2, "color": "palette", "seed": 3}
    mix = {"big-waves": 0.75, "dots": 0.25}
    expected = studio.pipeline(cat, style=mix, scale=2.5, **options).images[0]
    assert np.array_equal(pixels(file), np.asarray(expected))


def test_a_style_is_chained_with_another_network(visit: Open, studio: Studio, cat: Path) -> None:
    v = visit(PHONE)
    v.upload(cat)
    v.page.get_by_text("Mix, brush, colours, variation, chain").click()
    v.pick("#enlarger", "SRCNN")
    v.paint()
    name, file = v.download()
    assert name == "cat-dots-srcnn-x4-x4.png"
    expected = studio.pipeline(cat, style="dots", enlarger="srcnn-x4", scale=4).images[0]
    assert np.array_equal(pixels(file), np.asarray(expected))
    assert v.fits()
    v.choose("Enlarge only")
    expect(v.page.locator("#enlarger")).to_be_hidden()


def test_a_style_without_strengths_is_chained_too(visit: Open, studio: Studio, cat: Path) -> None:
    v = visit()
    v.upload(cat)
    v.page.get_by_label("number input for Strength of the style").first.fill("0.5")
    v.page.get_by_text("Mix, brush, colours, variation, chain").click()
    v.pick("#mix", "Big waves")
    v.choose("Udnie", "#styles")
    strength = v.page.get_by_text("Strength of the style").first
    expect(strength).to_be_hidden()
    for place in ("#mix", "Share of the second style"):
        found = v.page.locator(place) if place[0] == "#" else v.page.get_by_text(place)
        expect(found).to_be_hidden()
    v.pick("#enlarger", "SRCNN")
    v.paint()
    name, file = v.download()
    assert name == "cat-udnie-srcnn-x4-x4.png"
    expected = studio.pipeline(cat, style="udnie", enlarger="srcnn-x4", scale=4).images[0]
    assert np.array_equal(pixels(file), np.asarray(expected))
    v.choose("Dots", "#styles")
    expect(strength).to_be_visible()


def test_the_switch_turns_labels_notices_and_errors(
    visit: Open, studio: Studio, tmp_path: Path
) -> None:
    photo, notes = tmp_path / "cat.webp", tmp_path / "notes.png"
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "blue")]
    frames[0].save(photo, save_all=True, append_images=frames[1:])
    notes.write_text("no picture", encoding="utf-8")
    v = visit()
    v.upload(photo)
    strength = v.page.get_by_text("Strength of the style").first
    expect(strength).to_be_visible()
    v.choose("Enlarge only")
    expect(strength).to_be_hidden()
    v.paint()
    expect(v.page.locator("#status")).to_contain_text("first of 2 frames used")

    v.choose("中文", "#language")
    expect(v.page.locator("#start")).to_have_text("放大")
    expect(v.page.locator("#download")).to_contain_text("下载 PNG")
    expect(v.page.get_by_text("照片（放大） · 结果")).to_be_visible()
    v.paint("完成，用时")
    expect(v.page.locator("#status")).to_contain_text("使用了 2 帧中的第一帧")
    name, file = v.download()
    assert name == "cat-x4.png"
    expected = studio.pipeline(photo, style="photo", scale=4).images[0]
    assert np.array_equal(pixels(file), np.asarray(expected))

    v.upload(notes)
    expect(v.page.get_by_text("“notes.png”不是 JPEG").first).to_be_visible()
    again = v.page.context.new_page()
    again.goto(v.page.url)
    expect(again.locator("#start")).to_have_text("绘制")  # the language is remembered


# -- comparing, several -----------------------------------------------------------------------


def test_compare_shows_all_ways_and_measures(visit: Open, cat: Path) -> None:
    v = visit(PHONE)
    v.tab("Compare")
    v.upload(cat, "#compare-photo")
    v.page.get_by_label("My photo is the original").check()
    v.page.locator("#compare-start").click()
    rows = v.page.locator("#figures tbody tr")
    expect(rows).to_have_count(6)
    expect(rows.first).to_have_text(re.compile(r"Bicubic40 × 28, 0\.0 MB\d+\.\d\d s\d+\.\d\d dB"))
    expect(v.page.locator("#gallery .caption-label")).to_have_text(
        ["Bicubic", "Enlarge only", "SRCNN", "Dots", "Big waves", "Udnie"]
    )
    v.pick("#left", "Big waves")
    expect(v.page.get_by_text("Big waves · Dots")).to_be_visible()
    assert v.fits()


def test_a_batch_is_a_zip_file(visit: Open, studio: Studio, cat: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"nothing")
    v = visit(PHONE, "zh-CN")
    v.tab("批量")
    expect(v.page.get_by_text("最多 12 张")).to_be_visible()
    v.page.set_input_files("#batch-photos input[type=file]", [cat, bad])
    v.page.locator("#batch-start").click()
    expect(v.page.locator("#batch-status")).to_contain_text("完成 1/2 张")
    expect(v.page.locator("#batch-status li")).to_have_text(re.compile("“bad.png”不是 JPEG"))
    with zipfile.ZipFile(v.download("#batch-download")[1]) as archive:
        assert archive.namelist() == ["01-cat-dots-x2.png"]
        archive.extractall(tmp_path)
    expected = studio.pipeline(cat, style="dots", scale=2).images[0]
    assert np.array_equal(pixels(tmp_path / "01-cat-dots-x2.png"), np.asarray(expected))
    assert v.fits()


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_a_photo_is_painted_like_another_picture(
    visit: Open, studio: Studio, cat: Path, work: Path, size: dict[str, int]
) -> None:
    v = visit(size)
    v.tab("Any style")
    v.upload(cat, "#any-photo")
    expect(v.page.locator("#any-status")).to_have_text("Choose a picture to paint like.")
    expect(v.page.locator("#any-start")).to_be_disabled()
    v.upload(work, "#any-model")
    empty = v.page.locator(".pane:visible .placeholder")
    expect(empty).to_be_visible(visible=size == DESK)
    v.page.locator("#any-start").click()
    expect(v.page.locator("#any-status")).to_contain_text("Done in")
    expect(empty).to_be_hidden()
    expect(v.page.locator("#any-result img").first).to_be_visible()
    name, file = v.download("#any-download")
    assert name == "cat-any-style-x2.png"
    expected = studio.pipeline(cat, scale=2, style_image=work).images[0]
    assert np.array_equal(pixels(file), np.asarray(expected))
    assert v.fits()


def test_a_picture_too_small_to_paint_like_is_refused(visit: Open, cat: Path) -> None:
    v = visit(PHONE, "zh-CN")
    v.tab("任意风格")
    v.upload(cat, "#any-photo")
    v.upload(cat, "#any-model")
    v.page.locator("#any-start").click()
    expect(v.page.get_by_text("参照图片的边长至少为 64 像素")).to_be_visible()
    expect(v.page.locator("#any-start")).to_be_visible()


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_a_clip_is_painted_and_plays(visit: Open, tmp_path: Path, size: dict[str, int]) -> None:
    v = visit(size)
    v.tab("Video")
    expect(v.page.get_by_text("longer clips are cut after 5 seconds")).to_be_visible()
    expect(v.page.locator("#video-start")).to_be_disabled()
    v.upload(pan(tmp_path / "pan.mp4"), "#clip")
    expect(v.page.locator("#clip video")).to_be_visible()
    v.page.locator("#video-start").click()
    expect(v.page.locator("#video-status")).to_contain_text("2 frames done")
    sides = "async video => (await video.play(), [video.videoWidth, video.videoHeight])"
    assert v.page.locator("#played video").evaluate(sides) == [480, 240]
    name, file = v.download("#video-download")
    assert name == "pan-dots.mp4" and b"ftyp" in file.read_bytes()[:12]
    assert v.fits()


def test_what_is_no_clip_is_refused(visit: Open, cat: Path, tmp_path: Path) -> None:
    v = visit(PHONE, "zh-CN")
    v.tab("视频")
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"ffconcat version 1.0\nfile cat.png\n")
    v.upload(bad, "#clip")
    v.page.locator("#video-start").click()
    expect(v.page.get_by_text("“bad.mp4”不是可读取的视频")).to_be_visible()
    expect(v.page.locator("#video-start")).to_be_visible()
    v.errors.clear()  # the browser's own player says so too


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


def test_stop_stops_and_the_next_in_line_is_painted(
    visit: Open, address: str, studio: Studio, cat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = visit(), visit(PHONE)
    for v in (first, second):
        v.upload(cat)
    endless = Endless()
    with monkeypatch.context() as patch:
        patch.setattr(studio, "paint", endless)
        first.page.locator("#start").click()
        expect(first.page.locator("#status")).to_contain_text("of 100000")
        expect(first.page.locator("#status progress")).to_be_visible()
        expect(first.page.locator("#start")).to_be_hidden()
    second.page.locator("#start").click()
    expect(second.page.locator("#status")).to_contain_text("Waiting for its turn")
    with monkeypatch.context() as patch:  # now one waits, and there is room for no more
        patch.setattr(parts, "MOST_WAITING", 1)
        third = visit()  # sees the page all the same
        third.upload(cat)
        third.page.locator("#start").click()
        expect(third.page.get_by_text("Many people are painting")).to_be_visible()
        expect(third.page.locator("#start")).to_be_visible()
        with httpx.Client() as client:  # nor for programs
            upload = client.post(
                f"{address}gradio_api/upload", files={"files": ("cat.png", cat.read_bytes())}
            )
            photo = {"path": upload.json()[0], "meta": {"_type": "gradio.FileData"}}
            values = [photo, "dots", "", 0.5, "2", 0, 1, 0, "auto", "style", 0, ""]
            body = {"data": [*values, "png", "en"]}
            answer = client.post(f"{address}gradio_api/call/enhance", json=body)
            assert answer.status_code == 422 and "Many people" in answer.text
        third.errors.clear()  # the refusal, told on the console too
    with monkeypatch.context() as patch:  # there is room, but not for more of this visitor
        patch.setattr(parts, "MOST_OF_ONE", 1)
        third.choose("中文", "#language")
        third.page.locator("#start").click()
        expect(third.page.get_by_text("您已有 1 项任务在排队")).to_be_visible()
        third.errors.clear()
        with httpx.Client() as client:
            join = f"{address}gradio_api/call/enhance"
            assert "of your jobs wait already" in client.post(join, json=body).text
            other = {"X-Forwarded-For": "203.0.113.9, 93.184.215.14"}  # of another visitor
            answer = client.post(join, json=body, headers=other)
            assert answer.status_code == 200
    assert not endless.closed.is_set()
    first.page.locator("#stop").click()
    expect(first.page.locator("#status")).to_have_text("Stopped.")
    assert endless.closed.wait(20)
    expect(first.page.locator("#stop")).to_be_hidden()
    expect(second.page.locator("#status")).to_contain_text("Done in")
    first.paint()


def test_what_cannot_be_painted_is_refused_and_the_page_goes_on(
    visit: Open, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes, bomb, photo = (tmp_path / f"{name}.png" for name in ("notes", "bomb", "photo"))
    notes.write_text("no picture", encoding="utf-8")
    Image.new("1", (13_000, 13_000)).save(bomb)
    Image.new("RGB", (400, 300)).save(photo)
    v = visit()
    message = "'notes.png' is not a JPEG, PNG, WebP, TIFF or BMP picture"
    for file, text in [(notes, message), (bomb, "at most 16,000,000 are accepted")]:
        v.upload(file)
        expect(v.page.get_by_text(text)).to_be_visible()
        expect(v.page.locator("#photo img")).to_have_count(0)
        expect(v.page.locator("#start")).to_be_disabled()

    v.upload(photo)  # good, but four times as large it is not
    expect(v.page.locator("#size")).to_contain_text("more than 1.1 megapixels")
    expect(v.page.locator("#start")).to_be_disabled()
    v.choose("2×")
    expect(v.page.locator("#size")).to_contain_text("400 × 300 → 800 × 600")

    def fail(*_: Any) -> Generator[Progress, None, Painting]:
        yield Progress(1, 2, 0.1)
        raise InputError("given up after 9 seconds, with 1 of 2 tiles done; take a smaller factor")

    with monkeypatch.context() as patch:
        patch.setattr(studio, "paint", fail)
        v.page.locator("#start").click()
        expect(v.page.get_by_text("given up after 9 seconds")).to_be_visible()
    expect(v.page.locator("#status")).to_have_text("Stopped.")
    v.paint()


# -- programs ---------------------------------------------------------------------------------


def test_programs_paint_by_the_endpoints(
    address: str, studio: Studio, cat: Path, work: Path
) -> None:
    page = Client(address, verbose=False)
    named = page.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(named) == {"/enhance", "/estimate", "/paint_like"}
    assert [p["parameter_name"] for p in named["/enhance"]["parameters"]][:3] == [
        "photo",
        "style",
        "mix",
    ]
    asked: dict[str, Any] = {"photo": handle_file(cat), "style": "big-waves", "scale": 2}
    file = page.predict(**asked, strength=0.5, seed=3, api_name="/enhance")
    expected = studio.pipeline(cat, "big-waves", scale=2, strength=0.5, seed=3).images[0]
    assert np.array_equal(pixels(file), np.asarray(expected))
    file = page.predict(handle_file(cat), handle_file(work), 2, 1, api_name="/paint_like")
    expected = studio.pipeline(cat, scale=2, style_image=work).images[0]
    assert np.array_equal(pixels(file), np.asarray(expected))
    with pytest.raises(Exception, match="a style image needs sides of at least 64 pixels"):
        page.predict(handle_file(cat), handle_file(cat), 2, 1, api_name="/paint_like")
    told = page.predict(**asked, api_name="/estimate")
    assert (told["width"], told["height"]) == (80, 60) and told["seconds"] >= 0
    with pytest.raises(Exception, match="width must be a whole number from 16 to 320"):
        page.predict(photo=handle_file(cat), scale="width", width=9999, api_name="/enhance")


def test_attacks_are_refused_and_the_page_is_well(address: str, cat: Path) -> None:
    api = f"{address}gradio_api"
    with httpx.Client() as client:
        for path in [
            "file=http://127.0.0.1:1/secret",
            "file=https://example.org/a.png",
            "file=%68ttp://100.64.0.1/",
            "proxy=https://example.hf.space/x",
            "file=/etc/passwd",
            "file=../../../../etc/passwd",
            "file=%2e%2e/%2e%2e/etc/passwd",
        ]:
            assert client.get(f"{api}/{path}").status_code in (403, 404), path
        for path in ["monitoring", "monitoring/summary", "gradio_api/vibe-edit", "login"]:
            assert client.get(f"{address}{path}").status_code == 404, path
        meta = {"_type": "gradio.FileData"}
        picture = "data:image/png;base64," + "A" * 200
        for photo, status in [
            ({"path": "http://example.org/a.png", "meta": meta}, 403),
            ({"path": "HTTPS://example.org/a.png", "meta": meta}, 403),
            ({"path": "ftp://example.org/a.png", "meta": meta}, 403),
            ({"path": "x", "url": "http://169.254.169.254/", "meta": meta}, 403),
            ({"url": picture, "meta": meta}, 403),
            ({"url": "data:image/png;base64," + "A" * 70_000, "meta": meta}, 413),
            ({"path": "/etc/passwd", "meta": meta}, 403),
            ({"path": str(cat), "meta": meta}, 403),  # on this machine, but never uploaded
            ({"path": str(cat)}, 403),  # without what tells Gradio to look where it is
            ("cat.png", 422),
        ]:
            values = ["dots", "", 0.5, "2", 0, 1, 0, "auto", "style", 0, "", "png", "en"]
            answer = client.post(f"{api}/call/enhance", json={"data": [photo, *values]})
            assert answer.status_code == status, (photo, answer.text)
            assert photo != {"path": str(cat)} or "was not uploaded to the page" in answer.text
        assert client.post(f"{api}/run/enhance", json={"data": []}).status_code == 422
        large = {"files": ("a.png", b"x" * 11_000_000)}
        assert client.post(f"{api}/upload", files=large).status_code == 413
        assert client.get(address).status_code == 200


def pixels(path: Path | str) -> np.ndarray[Any, Any]:
    with Image.open(path) as image:
        return np.asarray(image)
