"""The command line, run in this process but where a fresh one matters."""

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import stylesr
from stylesr import cli, hub
from stylesr.models import SRCNN, CompactNet, StyleSRNet
from stylesr.picture import Picture, to_pil
from stylesr.pipeline import StyleSRPipeline
from tests import tiny

Scene = Callable[[int, int], Tensor]


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Bundled models: a base and two styles."""
    folder = tmp_path / "hub_cards"
    photo = tiny.photo()
    photo.save_pretrained(folder / "photo")
    tiny.style(photo, 1).save_pretrained(folder / "dots")
    tiny.style(photo, 2).save_pretrained(folder / "waves")
    monkeypatch.setattr(hub, "bundled_folder", lambda: folder)
    return folder


@pytest.fixture
def cat(tmp_path: Path, scene: Scene, models: Path) -> Path:
    to_pil(Picture(scene(23, 31))).save(tmp_path / "cat.png")
    return tmp_path / "cat.png"


def run(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120
    )


# -- enhance --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "names", "options"),
    [
        ([], ["photo"], {}),
        (["--style", "dots"], ["dots"], {}),
        (
            ["--style", "dots", "--scale", "1.5", "--strength", "0.5", "--seed", "3"],
            ["dots"],
            {"scale": 1.5, "strength": 0.5, "seed": 3},
        ),
        (
            ["--style", "dots:0.6,waves:0.4", "--brush", "2", "--color", "photo"],
            ["dots", "waves"],
            {"style": {"dots": 0.6, "waves": 0.4}, "brush": 2, "color": "photo"},
        ),
        (["--style", "dots", "--tile-size", "64", "--brush", "auto"], ["dots"], {"tile_size": 64}),
        (["--style", "photo,dots"], ["dots"], {"strength": 0.5}),
    ],
)
def test_pixels_equal_those_of_python(
    cat: Path, tmp_path: Path, arguments: list[str], names: list[str], options: dict[str, object]
) -> None:
    assert run("enhance", cat, tmp_path / "big.png", *arguments) == 0
    pipe = StyleSRPipeline.from_pretrained(names)
    pipe.set_progress_bar_config(disable=True)
    expected = pipe(str(cat), **options).images[0]
    with Image.open(tmp_path / "big.png") as result:
        assert result.size == expected.size and result.mode == expected.mode
        assert np.array_equal(np.asarray(result), np.asarray(expected))


def test_a_local_folder_is_a_style(cat: Path, models: Path, tmp_path: Path) -> None:
    (models / "dots").rename(tmp_path / "mine")
    assert run("enhance", cat, tmp_path / "a.png", "--style", tmp_path / "mine") == 0
    mix = f"{tmp_path / 'mine'}:1,waves:3"
    assert run("enhance", cat, tmp_path / "b.png", "--style", mix) == 0
    pipe = StyleSRPipeline.from_pretrained([tmp_path / "mine", "waves"])
    pipe.set_progress_bar_config(disable=True)
    for name, style in (("a", "mine"), ("b", {"mine": 0.25, "waves": 0.75})):
        expected = pipe(str(cat), style=style).images[0]
        with Image.open(tmp_path / f"{name}.png") as result:
            assert np.array_equal(np.asarray(result), np.asarray(expected))


@pytest.mark.parametrize(
    ("name", "format"), [("b.webp", "WEBP"), ("b.jpg", "JPEG"), ("b.tif", "TIFF"), ("B.PNG", "PNG")]
)
def test_the_extension_is_the_format(cat: Path, tmp_path: Path, name: str, format: str) -> None:
    assert run("enhance", cat, tmp_path / name, "--scale", 2) == 0
    with Image.open(tmp_path / name) as result:
        assert result.format == format and result.size == (62, 46)


def test_nothing_is_said_on_stdout_and_notices_on_stderr(
    cat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "two.webp", save_all=True, append_images=frames[1:])
    assert run("enhance", tmp_path / "two.webp", tmp_path / "one.png") == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "stylesr: first of 2 frames used\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cat.png", "big.gif"], r"'big.gif' does not end in a known picture extension"),
        (["cat.png", "big"], r"'big' does not end in a known picture extension"),
        (["cat.png", "no/big.png"], r"no folder for 'no/big.png'"),
        (["cat.png", "cat.png"], r"'cat.png' is the input"),
        (["dog.png", "big.png"], r"'dog.png' is not a file"),
        (["text.png", "big.png"], r"'text.png' is not a JPEG"),
        (["glass.png", "big.jpg"], r"JPEG cannot hold transparency"),
        (["cat.png", "big.png", "--scale", "9"], r"scale must be .* got 9"),
        (["cat.png", "big.png", "--scale", "nan"], r"scale must be .* got nan"),
        (["cat.png", "big.png", "--scale", "much"], r"--scale: invalid float value: 'much'"),
        (["cat.png", "big.png", "--strength", "-1"], r"strength must be .* got -1"),
        (["cat.png", "big.png", "--brush", "3"], r"brush must be .* got 3"),
        (["cat.png", "big.png", "--brush", "fine"], r"whole number or auto, got 'fine'"),
        (["cat.png", "big.png", "--tile-size", "10"], r"tile_size must be .* got 10"),
        (["cat.png", "big.png", "--color", "sepia"], r"--color: invalid choice: 'sepia'"),
        (["cat.png", "big.png", "--style", "dots,,waves"], r"got 'dots,,waves'"),
        (["cat.png", "big.png", "--style", "dots,dots"], r"got 'dots,dots'"),
        (["cat.png", "big.png", "--style", "dots:-1,waves:2"], r"weight .* got -1"),
        (["cat.png"], r"required: OUT"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    cat: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.png").write_text("no picture")
    Image.new("RGBA", (8, 8), (255, 0, 0, 9)).save(tmp_path / "glass.png")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    monkeypatch.setattr(StyleSRNet, "forward", None)  # refused before work starts
    try:
        code = run("enhance", *arguments)
    except SystemExit as end:  # argparse's own
        code = end.code if isinstance(end.code, int) else -1
    said = capsys.readouterr()
    assert code == 2
    assert said.out == ""
    assert re.fullmatch(rf"stylesr: error: .*{message}.*\n", said.err)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("style", "message"),
    [
        ("squares", r"no model 'squares': bundled are photo, dots, waves"),
        ("dots:x", r"no model 'dots:x'"),
        ("broken", r"broken holds a Other, not a .* or StyleSRNet or"),
    ],
)
def test_a_model_that_cannot_be_loaded_is_exit_code_1(
    cat: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    style: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text('{"class_name": "Other"}')
    assert run("enhance", "cat.png", "big.png", "--style", style) == 1
    assert re.fullmatch(rf"stylesr: error: .*{message}.*\n", capsys.readouterr().err)
    assert not (tmp_path / "big.png").exists()


def test_stopping_leaves_no_file(
    cat: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tiles = []
    forward = StyleSRNet.forward

    def stop_at_the_second_tile(self: StyleSRNet, *args: object, **more: object) -> Tensor:
        tiles.append(args)
        if len(tiles) == 2:
            raise KeyboardInterrupt
        return forward(self, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(StyleSRNet, "forward", stop_at_the_second_tile)
    before = set(tmp_path.iterdir())
    assert run("enhance", cat, tmp_path / "big.png", "--tile-size", 64) == 130
    assert len(tiles) == 2
    assert capsys.readouterr().err == "stylesr: stopped\n"
    assert set(tmp_path.iterdir()) == before


def test_an_old_result_is_replaced(cat: Path, tmp_path: Path) -> None:
    (tmp_path / "big.png").write_text("old")
    assert run("enhance", cat, tmp_path / "big.png") == 0
    with Image.open(tmp_path / "big.png") as result:
        assert result.size == (124, 92)


def test_a_style_is_enlarged_by_another_network(models: Path, cat: Path, tmp_path: Path) -> None:
    SRCNN(channels=4).eval().save_pretrained(models / "srcnn")
    chain = ("--style", "dots", "--enlarger", "srcnn", "--scale", 4)
    assert run("enhance", cat, tmp_path / "one.png", *chain) == 0
    pipe = StyleSRPipeline.from_pretrained(["dots", "srcnn"])
    expected = pipe(str(cat), style="dots", enlarger="srcnn", scale=4).images[0]
    assert np.array_equal(np.asarray(Image.open(tmp_path / "one.png")), np.asarray(expected))
    assert run("enhance", tmp_path / "c*.png", tmp_path / "many", *chain) == 0
    assert (tmp_path / "many" / "cat.png").exists()
    made = np.asarray(Image.open(tmp_path / "many" / "cat.png"))
    assert np.array_equal(made, np.asarray(expected))


# -- help and defaults ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["evaluate", "--help"],
        ["blend", "--help"],
        ["shrink", "--help"],
        ["gatys", "--help"],
        ["nope"],
    ],
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = """
import sys
from stylesr.cli import main
try:
    main()
finally:
    print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""
    done = python(code, *arguments)
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "stylesr" in loaded
    assert not loaded & {"torch", "diffusers", "numpy", "PIL", "huggingface_hub", "tqdm"}


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        run("--version")
    assert capsys.readouterr().out == f"stylesr {stylesr.__version__}\n"


def test_help_states_the_pipelines_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        run("enhance", "--help")
    said = " ".join(capsys.readouterr().out.partition("options:")[2].split())
    parameters = inspect.signature(StyleSRPipeline.stream).parameters
    for name in ("scale", "strength", "brush", "seed", "color", "tile_size"):
        default = parameters[name].default
        stated = re.search(rf"--{name.replace('_', '-')} .*?\(default: (\S+)\)", said)
        assert stated is not None
        assert stated[1] == ("auto" if default is None else str(default))


def test_options_that_are_not_given_are_not_passed_on() -> None:
    given = vars(cli._parser().parse_args(["enhance", "a.png", "b.png"]))
    assert set(given) == {"command", "picture", "output"}
    options = {"style", "enlarger", "scale", "strength", "brush", "seed", "color", "tile_size"}
    arguments = "--style s --enlarger e --scale 2 --strength 1 --brush 2 --seed 1 --color photo"
    arguments += " --tile-size 64"
    full = vars(cli._parser().parse_args(["enhance", "a", "b", *arguments.split()]))
    assert set(full) == set(given) | options
    assert options <= set(inspect.signature(StyleSRPipeline.stream).parameters)


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run()
    assert re.fullmatch(
        r"stylesr: error: .*COMMAND.*\(see stylesr --help\)\n", capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("text", "mix"),
    [
        ("dots", {"dots": 1}),
        ("dots:0.6,waves:.4", {"dots": 0.6, "waves": 0.4}),
        ("dots, waves", {"dots": 1, "waves": 1}),
        ("C:\\styles\\mine", {"C:\\styles\\mine": 1}),
        ("C:\\styles\\mine:2", {"C:\\styles\\mine": 2}),
        ("user/dots:1", {"user/dots": 1}),
    ],
)
def test_mixes_are_read(text: str, mix: dict[str, float]) -> None:
    assert cli._parse_mix(text) == mix


# -- models ---------------------------------------------------------------------------------------


def test_a_photo_model_with_a_base_is_listed_as_one(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.restorer(tiny.photo(), 5).save_pretrained(models / "vivid")
    assert run("models", "--json") == 0
    kinds = {row["name"]: row["kind"] for row in json.loads(capsys.readouterr().out)}
    assert kinds == {"photo": "photo", "dots": "style", "vivid": "photo", "waves": "style"}


def test_another_network_is_listed_and_enlarges(
    cat: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    SRCNN(4, scale=2).save_pretrained(models / "srcnn")
    assert run("models", "--json") == 0
    (row,) = (r for r in json.loads(capsys.readouterr().out) if r["name"] == "srcnn")
    assert (row["kind"], row["scales"]) == ("enlarger", [2])
    assert run("enhance", cat, cat.with_name("big.png"), "--style", "srcnn", "--scale", 3) == 0
    with Image.open(cat.with_name("big.png")) as result:
        assert result.size == (93, 69)
    assert run("enhance", cat, cat.with_name("mix.png"), "--style", "dots:0.5,srcnn:0.5") == 2
    assert "'srcnn' only enlarges" in capsys.readouterr().err


def test_models_are_listed(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (models / "dots" / "README.md").write_text(
        "---\nlicense: x\n---\n\n# dots\n\nPaints dots.\n\nB"
    )
    assert run("models", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["kind"]) for row in listed] == [
        ("photo", "photo"),
        ("dots", "style"),
        ("waves", "style"),
    ]
    net = StyleSRNet.from_pretrained("dots")
    assert listed[1]["parameters"] == sum(p.numel() for p in net.parameters())
    assert listed[1]["bytes"] == os.path.getsize(models / "dots" / "model.safetensors")
    assert listed[1]["scales"] == [1, 2, 4]
    assert [row["description"] for row in listed] == ["", "Paints dots.", ""]
    assert run("models") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [[r["name"], r["kind"]] for r in listed]
    assert lines[1].endswith("Paints dots.")


# -- evaluate -------------------------------------------------------------------------------------

RELEASES = """
[held_out]
name = "Holiday Photos"
url = "https://example.org/photos"
licence = "CC0-1.0"

[models.photo]
description = "Enlarges."
data = []
preview = ["cat"]
"""


@pytest.fixture
def material(tmp_path: Path, scene: Scene, models: Path) -> Path:
    """Benchmarks, photos and words; the card's template is the repository's."""
    folder = tmp_path / "material"
    for name in ("Set5", "photos"):
        (folder / name).mkdir(parents=True)
        to_pil(Picture(scene(64, 80))).save(folder / name / "cat.png")
    (folder / "releases.toml").write_text(RELEASES)
    template = Path(__file__).parents[1] / "hub_cards" / "template.md"
    (models / "template.md").write_text(template.read_text(encoding="utf-8"), encoding="utf-8")
    return folder


def test_evaluate_prints_and_writes_nothing_unasked(
    models: Path, material: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(models.rglob("*"))
    assert run("evaluate", "photo", "--benchmarks", material) == 0
    said = capsys.readouterr().out
    assert said.startswith("photo: ") and StyleSRNet.from_pretrained("photo").fingerprint() in said
    assert re.search(r"dataset Set5, scale 4, pictures 1, psnr_y \d+\.\d+", said)
    assert set(models.rglob("*")) == before


def test_evaluate_writes_figures_preview_and_card(models: Path, material: Path) -> None:
    words = ("--releases", material / "releases.toml")
    given = ("--benchmarks", material, "--photos", material / "photos")
    assert run("evaluate", "photo", *given, *words, "--write") == 0
    folder = models / "photo"
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["weights_sha256"] == StyleSRNet.from_pretrained("photo").fingerprint()
    assert [row["scale"] for row in metrics["results"]] == [2, 4]
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"{metrics['results'][1]['psnr_y']:.2f}" in card and "preview.webp" in card
    with Image.open(folder / "preview.webp") as preview:
        assert preview.format == "WEBP" and preview.width == 1208

    written = (folder / "metrics.json").read_bytes(), (folder / "README.md").read_bytes()
    assert run("evaluate", "photo", *words, "--write") == 0  # renders again, measures nothing
    assert written == ((folder / "metrics.json").read_bytes(), (folder / "README.md").read_bytes())


def test_evaluate_prints_the_protocol(
    models: Path, material: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (material / "Set5").rename(material / "BSD100")
    assert run("evaluate", "photo", "--benchmarks", material) == 0
    said = capsys.readouterr().out
    assert "  blind super-resolution: HR cut to multiples of 4; LR by two rounds" in said
    assert re.search(r"task blind super-resolution, dataset BSD100, scale 4, .* psnr_y \d+", said)


def test_evaluate_compares_with_a_peer(
    models: Path, material: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = CompactNet(channels=4, convolutions=1)
    torch.save(net.state_dict(), tmp_path / "known-x4.pth")
    peer = ("--peer", tmp_path / "known-x4.pth")
    assert run("evaluate", "photo", "--benchmarks", material, *peer) == 0
    assert re.search(r"scale 4, .*peer_psnr_y \d+.*, peer known-x4\n", capsys.readouterr().out)


def test_evaluate_draws_the_curve_of_strengths(
    models: Path, material: Path, shared_weights: Path
) -> None:
    (material / "Set5").rename(material / "BSD100")
    tiny.restorer(tiny.photo(), 5).save_pretrained(models / "vivid")
    words = material / "releases.toml"
    words.write_text(RELEASES.replace("[models.photo]", "[models.vivid]"))
    files = {"squeezenet": "squeezenet1_1-features", "lpips": "lpips-squeeze-v0.1"}
    given = [x for k, v in files.items() for x in (f"--{k}", shared_weights / f"{v}.safetensors")]
    options = ("--benchmarks", material, "--releases", words, "--write")
    assert run("evaluate", "vivid", *given, *options) == 0
    assert "(trade.webp)" in (models / "vivid" / "README.md").read_text(encoding="utf-8")
    with Image.open(models / "vivid" / "trade.webp") as curve:
        assert curve.format == "WEBP"


def test_evaluate_draws_a_sheet_a_model(models: Path, material: Path, tmp_path: Path) -> None:
    sheets = tmp_path / "sheets"
    photos = ("--photos", material / "photos")
    assert run("evaluate", "photo", "dots", *photos, "--sheets", sheets) == 0
    assert sorted(path.name for path in sheets.iterdir()) == ["dots.webp", "photo.webp"]
    with Image.open(sheets / "dots.webp") as sheet:
        assert sheet.format == "WEBP" and sheet.width == 9 * (80 + 4) - 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to measure"),
        (["--photos", "x"], "nothing to measure"),
        (["--sheets", "x"], "--sheets needs --photos"),
        (["--peer", "x", "--speed"], "a peer needs benchmarks"),
        (["--lpips", "x", "--speed"], "LPIPS needs"),
        (["--write", "--releases", "nowhere"], "'nowhere' cannot be read"),
        (["dots", "--write", "--releases", "releases.toml"], r"add \[models.dots\]"),
        (["user/dots", "--write", "--releases", "releases.toml"], "--write needs one"),
        (["photo", "--benchmarks", "photos"], "none of the folders"),
    ],
)
def test_evaluate_refuses_what_it_cannot_do(
    models: Path,
    material: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(material)
    assert run("evaluate", *arguments) == 2
    assert re.fullmatch(rf"stylesr: error: .*{message}.*\n", capsys.readouterr().err)
    assert not list(models.rglob("metrics.json"))


# -- blend ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mix", "same"),
    [
        ("dots:3,waves:1", {"style": {"dots": 0.75, "waves": 0.25}}),
        ("dots:0.6,photo:0.4", {"style": "dots", "strength": 0.6}),
    ],
)
def test_a_blend_is_a_style_that_paints_the_mix(
    mix: str,
    same: dict[str, Any],
    models: Path,
    scene: Scene,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("blend", mix, "--to", tmp_path / "mine") == 0
    assert re.fullmatch(r".*mine: 0\.\d\d dots, 0\.\d\d (waves|photo)\n", capsys.readouterr().out)
    image = to_pil(Picture(scene(23, 31)))
    pipe = StyleSRPipeline.from_pretrained(["photo", "dots", "waves", str(tmp_path / "mine")])
    made, mixed = pipe(image, style="mine"), pipe(image, **same)
    np.testing.assert_array_equal(np.asarray(made.images[0]), np.asarray(mixed.images[0]))


@pytest.mark.parametrize(
    ("mix", "message", "code"),
    [
        ("dots", "two models or more.* got 'dots'", 2),
        ("dots:1,waves:0", "two models or more.* got 'dots:1,waves:0'", 2),
        ("dots:0,waves:0", "at least one weight above 0", 2),
        ("dots:-1,waves:2", "weight of 'dots' must be", 2),
        ("dots:1,dots:2", "a style is a name, or", 2),
        ("dots,other", "only networks of one base can be blended", 1),
        ("dots,twin", "twin.*CompactNet", 1),
    ],
)
def test_blend_refuses_what_it_cannot_do(
    mix: str,
    message: str,
    code: int,
    models: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = tiny.photo(7)
    tiny.style(base, 3).save_pretrained(models / "other")
    CompactNet(channels=4, convolutions=1).save_pretrained(models / "twin")
    assert run("blend", mix, "--to", tmp_path / "mine") == code
    assert re.fullmatch(rf"stylesr: error: .*{message}.*\n", capsys.readouterr().err)
    assert not (tmp_path / "mine").exists()


def test_blend_overwrites_nothing(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (models / "dots" / "model.safetensors").read_bytes()
    assert run("blend", "dots,waves", "--to", models / "dots") == 2
    assert "is in use" in capsys.readouterr().err
    assert (models / "dots" / "model.safetensors").read_bytes() == before


# -- shrink ---------------------------------------------------------------------------------------


def test_shrink_rewrites_a_style_in_float16(
    models: Path, material: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.style(tiny.photo(), 3).save_pretrained(models / "dots")
    weights = models / "dots" / "model.safetensors"
    before = weights.stat().st_size
    assert run("shrink", "dots", "--photos", material / "photos") == 0
    said = capsys.readouterr().out
    assert re.match(
        r"×1: PSNR-Y changes by 0\.00\d\d dB, no value by more than 0\.\d\d levels", said
    )
    assert "measure it anew" in said
    assert weights.stat().st_size < before


@pytest.mark.parametrize(
    ("model", "message"),
    [("photo", "photo is a base"), ("user/dots", "'user/dots' is no folder here")],
)
def test_shrink_refuses_what_it_cannot_do(
    models: Path,
    material: Path,
    capsys: pytest.CaptureFixture[str],
    model: str,
    message: str,
) -> None:
    assert run("shrink", model, "--photos", material / "photos") == 2
    assert re.fullmatch(rf"stylesr: error: .*{message}.*\n", capsys.readouterr().err)


@pytest.mark.parametrize("option", [["--figures"], ["--gallery", "all.webp"]])
def test_figures_and_gallery_are_not_of_the_hub(
    option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("models", "--hub", *option) == 2
    assert f"{option[0]} is of the models that come along" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = [sys.executable, "-c", "from stylesr.cli import main; exit(main(['models']))"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")
