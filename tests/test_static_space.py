"""The page that runs in the browser: its folder, and its pictures against the pipeline's."""

import base64
import functools
import http.server
import io
import json
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import RepoCard
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from torch import Tensor

from stylesr import cli, npm, static_space
from stylesr.errors import InputError, ModelError, StyleSRError
from stylesr.hub import bundled_folder
from stylesr.picture import Array, Picture, to_pil
from stylesr.pipeline import StyleSRPipeline
from stylesr.static_space import HEADERS, write_static_space
from tests import tiny
from tests.hub_server import Hub

Scene = Callable[[int, int], Tensor]

RELEASED = ["photo", "photo-vivid", "starry-night"]
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE = 60_000  # milliseconds, on a busy machine

expect.set_options(timeout=PATIENCE)


# -- the folder -----------------------------------------------------------------------------------


@pytest.fixture
def models(tmp_path: Path) -> list[str]:
    """Folders of a small base and a style of it."""
    photo = tiny.photo()
    for name, net in {"photo": photo, "big-waves": tiny.style(photo, 1)}.items():
        net.save_pretrained(tmp_path / name)
    return [str(tmp_path / "photo"), str(tmp_path / "big-waves")]


@pytest.fixture
def no_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of the runtime's names, without its contents."""
    files = {name: name.encode() for name in npm.FILES}
    monkeypatch.setattr(static_space, "read_runtime", lambda tarball: files)


@pytest.mark.usefixtures("no_runtime")
def test_what_the_folder_holds(models: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "space"
    prints = write_static_space("me/page", folder, models)
    assert list(prints) == ["photo", "big-waves"]
    front = RepoCard.load(folder / "README.md").data.to_dict()
    assert front["sdk"] == "static" and front["app_file"] == "index.html"
    assert front["custom_headers"] == HEADERS and len(front["short_description"]) <= 60
    assert prints["big-waves"] in (folder / "README.md").read_text(encoding="utf-8")
    for name in ("photo", "big-waves"):
        weights = (tmp_path / name / "model.safetensors").read_bytes()
        assert (folder / "models" / f"{name}.safetensors").read_bytes() == weights
    assert {path.name for path in (folder / "ort").iterdir()} == set(npm.FILES)
    site = json.loads((folder / "models" / "models.json").read_text(encoding="utf-8"))
    assert [(m["name"], m["paints"]) for m in site["models"]] == [
        ("photo", False),
        ("big-waves", True),
    ]
    assert site["models"][0]["title"] == {"en": "Enlarge only", "zh": "仅放大"}
    pictures = [m["thumbnail"] for m in site["models"]] + [e["file"] for e in site["examples"]]
    for name in [*pictures, site["example"]["before"], site["example"]["after"]]:
        with Image.open(folder / name) as image:
            assert image.format == "WEBP"


@pytest.mark.usefixtures("no_runtime")
def test_a_styles_base_is_found(tmp_path: Path) -> None:
    assert list(write_static_space("me/page", tmp_path / "space", ["starry-night"])) == [
        "photo",
        "starry-night",
    ]


@pytest.mark.usefixtures("no_runtime")
def test_what_makes_no_page_is_refused(models: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "space"
    with pytest.raises(InputError, match="is owner/name, got 'page'"):
        write_static_space("page", folder, models)
    with pytest.raises(InputError, match="is in use"):
        write_static_space("me/page", tmp_path / "photo", models)
    with pytest.raises(ModelError, match="'srcnn-x4' is a SRCNN of its own size"):
        write_static_space("me/page", folder, ["photo", "srcnn-x4"])
    assert not folder.exists()


def test_the_runtime_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"no file .*; give onnxruntime-web-[\d.]+\.tgz of npm"):
        npm.read_runtime(tmp_path / "none.tgz")
    wrong = tmp_path / "wrong.tgz"
    with tarfile.open(wrong, "w:gz"):
        pass
    with pytest.raises(InputError, match=r"is not onnxruntime-web@.* as it was published"):
        npm.read_runtime(wrong)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"comes with Node\.js; install that, or .* --runtime"):
        npm.fetch_runtime()
    (tmp_path / "npm").write_text("#!/bin/sh\necho no network >&2; exit 1\n", encoding="utf-8")
    (tmp_path / "npm").chmod(0o755)
    with pytest.raises(StyleSRError, match=r"npm could not fetch .* \(no network\); try again"):
        npm.fetch_runtime()


@pytest.mark.usefixtures("no_runtime")
def test_the_command_pushes_it(
    models: list[str],
    tmp_path: Path,
    the_hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HF_TOKEN", "mine")
    command = ["space", "me/page", "--static", "--models", *models]
    assert cli.main([*command, "--dry-run", str(tmp_path / "space")]) == 0
    assert "big-waves  SHA-256" in capsys.readouterr().out
    assert cli.main(command) == 0
    on_hub = the_hub.repositories["space", "me/page"]
    assert on_hub.options["sdk"] == "static" and "hardware" not in on_hub.options
    assert {"index.html", "ort/ort.wasm.min.mjs", "models/x4.onnx"} <= set(on_hub.files)
    assert cli.main([*command, "--hardware", "cpu-basic"]) == 2
    assert cli.main(["space", "me/page", "--runtime", "x.tgz"]) == 2


# -- in the browser -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page with a few released models and the real runtime."""
    try:
        tarball = npm.fetch_runtime()
    except StyleSRError as error:
        pytest.skip(f"needs npm and its registry: {error}")
    folder = tmp_path_factory.mktemp("static") / "space"
    write_static_space("me/page", folder, RELEASED, runtime=tarball)
    return folder


class Handler(http.server.SimpleHTTPRequestHandler):
    """A static Space's server."""

    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address(space: Path) -> Iterator[str]:
    handler = functools.partial(Handler, directory=str(space))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser(address: str) -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Chromium, the browser, as `chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """`visit(width, locale)` opens the page; its console must stay clean, and it asks no others."""
    contexts, errors, strangers = [], [], []

    def note(url: str) -> None:
        if not url.startswith((address, "data:", "blob:")):
            strangers.append(url)

    def open_page(width: int = 1280, locale: str = "en-GB") -> Page:
        contexts.append(
            browser.new_context(viewport={"width": width, "height": 844}, locale=locale)
        )
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: note(request.url))
        page.goto(address)
        expect(page.locator("#start")).not_to_be_empty()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert (errors, strangers) == ([], [])


PAINT = """
async ([bytes, choices]) => {
  const worker = (window.testWorker ??= new Worker("worker.js", { type: "module" }));
  const file = new Blob([Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt())]);
  const photo = await createImageBitmap(file);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [photo.width * choices.scale, photo.height * choices.scale];
  const tiles = await new Promise((done, fail) => {
    let count = 0;
    worker.onmessage = ({ data }) => {
      if (data.kind === "error") fail(new Error(data.message));
      if (data.kind === "tile") count = data.total;
      if (data.tile) canvas.getContext("2d").putImageData(data.tile, data.x, data.y);
      if (data.kind === "done") done(count);
    };
    worker.postMessage({ photo, choices, useGPU: false });
  });
  return [tiles, canvas.toDataURL().split(",")[1]];
}
"""


def photo_file(scene: Scene, path: Path, height: int, width: int) -> Path:
    to_pil(Picture(scene(height, width))).save(path)
    return path


def painted(page: Page, photo: Path, choices: dict[str, Any]) -> tuple[int, Array]:
    """By the page's worker: the number of tiles, and the picture."""
    asked = {"strength": 1, "scale": 2, "brush": 0, "seed": 0} | choices
    data = base64.b64encode(photo.read_bytes()).decode()
    tiles, result = page.evaluate(PAINT, [data, asked])
    return tiles, pixels(io.BytesIO(base64.b64decode(result)))


def size(file: Path) -> tuple[int, int]:
    with Image.open(file) as image:
        return image.height, image.width


def pixels(file: Path | io.BytesIO) -> Array:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_pictures_equal_the_pipelines(
    visit: Callable[..., Page], scene: Scene, tmp_path: Path
) -> None:
    page, pipe = visit(), StyleSRPipeline.from_pretrained(RELEASED)
    photo = photo_file(scene, tmp_path / "photo.png", 39, 46)  # no multiples of four
    wide = photo_file(scene, tmp_path / "wide.png", 9, 150)
    cases: list[tuple[Path, dict[str, Any]]] = [
        (photo, {"style": "starry-night", "scale": 1, "seed": 7}),
        (photo, {"style": "starry-night", "scale": 2, "strength": 0.5}),
        (photo, {"style": "starry-night", "scale": 4, "strength": 1.3}),
        (photo, {"style": "starry-night", "scale": 1, "brush": 2}),
        (photo, {"style": "starry-night", "scale": 2, "brush": 4}),
        (photo, {"style": "starry-night", "scale": 2, "strength": 0}),
        (photo, {"style": "photo", "scale": 1}),
        (photo, {"style": "photo-vivid", "scale": 4, "strength": 0.5}),
        (wide, {"style": "starry-night", "scale": 1}),  # too low to be reflected
        (wide, {"style": "starry-night", "scale": 2, "tileSize": 96, "seed": 3}),
    ]
    for file, choices in cases:
        tiles, result = painted(page, file, choices)
        options = {"tile_size" if k == "tileSize" else k: v for k, v in choices.items()}
        options["brush"] = options.get("brush") or None
        expected = np.asarray(pipe(file, **options).images[0]).astype(int)
        assert result.shape == expected.shape
        assert tiles == pipe.plan(size(file), **options).tiles, choices
        assert np.abs(result - expected).max() <= 1, choices
    one, whole = painted(page, wide, {"style": "starry-night", "scale": 2, "seed": 3})
    assert one == 1 and tiles > 4
    assert np.abs(result - whole).max() <= 1


def test_noise_is_the_same_as_in_python(visit: Callable[..., Page]) -> None:
    from stylesr.models.stylesr_net import noise_field

    page = visit()
    code = "async a => Array.from((await import('/noise.js')).noiseField(...a))"
    for height, width, levels, seed, top, left in [
        (5, 9, 3, 0, 0, 0),
        (7, 3, 4, 99, 130, 1001),
        (2, 2, 1, 2**32 - 1, 5, 0),
    ]:
        found = np.reshape(
            page.evaluate(code, [height, width, levels, seed, top, left]), (levels, height, width)
        )
        expected = noise_field(height, width, levels, seed, (top, left))[0].numpy()
        assert np.abs(found - expected).max() < 1e-6


def test_a_visitor_paints_compares_and_downloads(
    visit: Callable[..., Page], scene: Scene, tmp_path: Path
) -> None:
    page = visit(390)
    expect(page.get_by_text("An example: The Starry Night, fine brush")).to_be_visible()
    expect(page.get_by_text("Nothing is uploaded")).to_be_visible()
    expect(page.locator("#start")).to_be_disabled()
    page.set_input_files("#file", photo_file(scene, tmp_path / "my photo.png", 44, 60))
    expect(page.locator("#plan")).to_have_text("60 × 44 → 240 × 176")
    page.get_by_label("2×").check()
    page.locator("#strength").fill("0.5")
    expect(page.locator("#plan")).to_have_text("60 × 44 → 120 × 88")
    page.locator("#start").click()
    expect(page.locator("#plan")).to_contain_text("Done in")
    expect(page.locator("#plan")).to_contain_text("on the processor")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator("#position").focus()
    page.keyboard.press("Home")
    assert page.locator("#compare").get_attribute("style").endswith("--at: 0%;")  # type: ignore[union-attr]
    with page.expect_download() as waiting:
        page.locator("#download").click()
    assert waiting.value.suggested_filename == "my-photo-starry-night-x2.png"
    with Image.open(waiting.value.path()) as image:
        image.load()
        assert image.info["Description"] == "starry-night x2, strength 0.5, brush 1, variation 0"
        assert "compositeWithTrainedAlgorithmicMedia" in image.info["XML:com.adobe.xmp"]
    pipe = StyleSRPipeline.from_pretrained(RELEASED[-1])
    expected = pipe(tmp_path / "my photo.png", scale=2, strength=0.5).images[0]
    found = pixels(waiting.value.path())
    assert np.abs(found - np.asarray(expected).astype(int)).max() <= 1


def test_stop_and_what_cannot_be_read(
    visit: Callable[..., Page], scene: Scene, tmp_path: Path
) -> None:
    page = visit(locale="zh-CN")
    expect(page.locator("#start")).to_have_text("绘制")
    notes = tmp_path / "notes.png"
    notes.write_text("no picture", encoding="utf-8")
    page.set_input_files("#file", notes)
    expect(page.locator("#plan")).to_have_text("此浏览器无法读取图片“notes.png”。")
    page.set_input_files("#file", photo_file(scene, tmp_path / "large.png", 600, 800))
    page.locator("#start").click()
    page.locator("#stop").click()
    expect(page.locator("#plan")).to_have_text("已停止。")
    expect(page.locator("#download")).to_be_hidden()
    page.set_input_files("#file", photo_file(scene, tmp_path / "small.png", 16, 16))
    page.get_by_label("English").check()
    page.locator("#start").click()
    expect(page.locator("#plan")).to_contain_text("Done in")


def test_the_examples_are_those_of_the_card() -> None:
    """They are cut out of the photo model's preview, whose layout must not change unseen."""
    photos = static_space._originals()
    assert [(photo.height, photo.width) for photo in photos] == [(300, 400)] * 3
    with Image.open(bundled_folder() / "photo" / "preview.webp") as preview:
        corner = np.asarray(preview.convert("RGB"))[-300:, -400:]
    found = photos[-1].pixels.permute(1, 2, 0).numpy() * 255
    assert np.abs(found - corner).max() < 1
