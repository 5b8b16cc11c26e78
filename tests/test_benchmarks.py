"""The scripts in tests/benchmarks: their arithmetic, and that they run on tiny networks."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from stylesr import training
from stylesr.models import CompactNet, StyleSRNet, TransformerNet, UNetGenerator
from stylesr.models.discriminators import VGGDiscriminator
from stylesr.picture import Picture, to_pil
from tests import tiny, tiny_features
from tests.benchmarks import (
    ablation,
    deep_image_prior,
    equal_size,
    gan_losses,
    grain,
    live,
    pairs,
    quality_and_speed,
    temporal,
    throughput,
    two_stage,
)
from train import super_resolution

OURS = {0.5: (0.8, 0.2), 1.0: (0.4, 0.6), 1.25: (0.3, 0.7)}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folder(tmp_path: Path, scene: Callable[[int, int], Tensor]) -> Path:
    """Two photos, a base, a style, and checkpoints of an enlarger and of a style network."""
    (tmp_path / "photos").mkdir()
    to_pil(Picture(scene(64, 72))).save(tmp_path / "photos" / "one.png")
    to_pil(Picture(scene(72, 64).flip(1).contiguous())).save(tmp_path / "photos" / "two.png")
    photo = tiny.photo()
    photo.save_pretrained(tmp_path / "photo")
    tiny.style(photo, 1, str(tmp_path / "photo")).save_pretrained(tmp_path / "dots")
    enlarger = CompactNet(channels=4, convolutions=1)
    torch.save({"params": enlarger.state_dict()}, tmp_path / "enlarger.pth")
    torch.save(_upstream(TransformerNet(channels=4, blocks=1)), tmp_path / "painter.pth")
    return tmp_path


def _upstream(net: TransformerNet) -> dict[str, Tensor]:
    """Its weights by the names of pytorch/examples."""
    names = {"encoder.0": "1", "encoder.2": "2", "encoder.4": "3", "decoder.1": "4"}
    names |= {"decoder.4": "5"}
    state = {}
    for name, tensor in net.state_dict().items():
        for ours, i in names.items():
            conv = f"conv{i}" if int(i) < 4 else f"deconv{int(i) - 3}"
            name = name.replace(f"{ours}.conv", f"{conv}.conv2d")
            name = name.replace(f"{ours}.norm", f"in{i}")
        name = name.replace("decoder.6", "deconv3.conv2d")
        for i in "12":
            name = name.replace(f"blocks.0.conv{i}.conv", f"res1.conv{i}.conv2d")
            name = name.replace(f"blocks.0.conv{i}.norm", f"res1.in{i}")
        state[name] = tensor
    return state


# -- ablation -------------------------------------------------------------------------------------


def test_the_ablation_trains_every_variant_and_prints_a_row_for_each(
    folder: Path, shared_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_file(tiny_features.weights(), str(folder / "vgg.safetensors"))
    Image.effect_noise((96, 96), 90).convert("RGB").save(folder / "work.png")
    (folder / "train").mkdir()
    Image.effect_noise((120, 100), 60).convert("RGB").save(folder / "train" / "a.png")
    arguments = [str(folder / "work.png"), "--photos", str(folder / "train")]
    arguments += ["--held-out", str(folder / "train"), "--base", str(folder / "photo")]
    arguments += ["--init", str(folder / "dots"), "--steps", "1", "--crop", "96"]
    arguments += ["--perceptual", str(folder / "vgg.safetensors"), "--rows", "1"]
    features = shared_weights / "squeezenet1_1-features.safetensors"
    arguments += ["--squeezenet", str(features), "--out", str(folder / "ablation")]
    ablation.main(arguments)
    printed = capsys.readouterr().out
    rows = [line.split("|")[1:-1] for line in printed.splitlines() if line.startswith("|")]
    assert [row[0].strip() for row in rows[2:]] == list(ablation.VARIANTS)
    assert (folder / "ablation" / "sheet.png").is_file()
    direct = ablation.DirectTail.from_pretrained(
        folder / "ablation" / "from-photo-direct-tail" / "model"
    )
    assert not hasattr(direct, "up1")
    blind = StyleSRNet.from_pretrained(folder / "ablation" / "from-photo-without-noise" / "model")
    assert not blind.noise.weight.any()


# -- quality and speed ----------------------------------------------------------------------------


def test_the_front_is_of_what_nothing_beats() -> None:
    points = [(1.0, 30.0), (2.0, 29.0), (0.5, 28.0), (3.0, 31.0), (1.0, 29.5)]
    assert quality_and_speed.front(points) == [(0.5, 28.0), (1.0, 30.0), (3.0, 31.0)]


def test_quality_and_speed_prints_a_table_for_each_factor(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality_and_speed, "SIZE", 16)
    arguments = [str(folder / "photos"), "--model", str(folder / "photo"), "--runs", "1"]
    arguments += ["--network", f"small={folder / 'enlarger.pth'}", "--threads", "1"]
    quality_and_speed.main([*arguments, "--front", str(folder / "front.png")])
    four, two = capsys.readouterr().out.split("| PSNR-Y ×")[1:]
    names = [line.split("|")[1].strip() for line in four.strip().splitlines()[2:]]
    assert names == ["bicubic", "photo", "photo, pipeline", "small"]
    assert "photos (2)" in four and "time" in four
    assert "small" not in two and "time" not in two
    with Image.open(folder / "front.png") as front:
        assert front.width > 100


def test_a_network_needs_a_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        quality_and_speed.main([str(folder / "photos"), "--network", "enlarger.pth"])
    assert "NAME=PATH is needed, got 'enlarger.pth'" in capsys.readouterr().err


# -- one pass and two stages ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("style", "expected"),
    [(0.6, (0.75, 0.4)), (0.4, (1.0, 0.6)), (0.35, (1.125, 0.65)), (0.9, None), (0.2, None)],
)
def test_the_strength_of_equal_style(style: float, expected: tuple[float, float] | None) -> None:
    found = two_stage.at_style({**OURS, 1.5: (0.7, 0.9)}, style)
    assert found is None if expected is None else found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        ((0.6, 0.5), "at strength 0.75, with content 0.400: ours is better."),
        ((0.6, 0.3), "at strength 0.75, with content 0.400: ours is not better."),
        (
            (0.2, 0.9),
            "comes that near at no strength (nearest: 0.300 at strength 1.25, with content",
        ),
        ((0.9, 0.3), "nearer to the work at every strength (nearest: 0.800 at strength 0.5"),
        ((0.9, 0.1), "ours is not better in content."),
    ],
)
def test_the_verdict_says_where_ours_is_not_better(
    theirs: tuple[float, float], message: str
) -> None:
    assert message in two_stage.verdict("udnie", theirs, OURS)


def test_two_stage_prints_a_table_a_judge_and_draws_a_blind_sheet(
    folder: Path,
    shared_weights: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(two_stage, "SIZE", 16)
    sheet, key = folder / "sheet.png", folder / "key.json"
    arguments = [str(folder / "dots"), str(folder / "photos" / "one.png"), str(folder / "photos")]
    arguments += ["--enlarger", str(folder / "enlarger.pth")]
    arguments += ["--baseline", f"painter={folder / 'painter.pth'}", "--strengths", "1", "0.5"]
    features = shared_weights / "squeezenet1_1-features.safetensors"
    arguments += ["--squeezenet", str(features), "--runs", "1", "--threads", "1"]
    two_stage.main([*arguments, "--sheet", str(sheet), "--key", str(key), "--cell", "32"])
    printed = capsys.readouterr().out
    names = [line.split("|")[1].strip() for line in printed.splitlines() if line.startswith("|")]
    ways = ["painter, then enlarged", "enlarged, then painter"]
    assert names[2:] == [
        "the photo itself",
        *(f"ours, strength {s}" for s in ("0", "0.5", "1")),
        *ways,
    ]
    assert sum(line.startswith("- ") for line in printed.splitlines()) == 2
    rows = json.loads(key.read_text())["rows"]
    assert [row["photo"] for row in rows] == ["one.png", "two.png"]
    for row in rows:
        assert row["columns"][0] == "the photo"
        assert sorted(row["columns"][1:]) == sorted(["ours, strength 1", *ways])
    with Image.open(sheet) as picture:
        assert picture.size == (4 * 32 + 3 * two_stage.GAP, 28 + two_stage.GAP + 36)


def test_a_sheet_needs_a_key(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["dots", "work.png", "photos", "--enlarger", "a.pth", "--baseline", "b=b.pth"]
    with pytest.raises(SystemExit):
        two_stage.main([*arguments, "--vgg", "vgg.safetensors", "--sheet", "sheet.png"])
    assert "--sheet and --key go together" in capsys.readouterr().err


# -- Deep Image Prior -----------------------------------------------------------------------------


def test_deep_image_prior_prints_a_row_for_each_task(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = folder / "restored"
    options = ["--channels", "4", "--steps", "10", "--out", str(out)]
    deep_image_prior.main([str(folder / "photos" / "one.png"), *options])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[1] for line in lines[2:]] == ["enlarge", "denoise", "complete"]
    without = [float(line.split(" | ")[2]) for line in lines[2:]]
    assert without[1] == pytest.approx(25.0, abs=0.8), "σ 25 is 14.4 in luma"
    assert len(list(out.iterdir())) == 6


# -- adversarial losses ---------------------------------------------------------------------------


def test_gan_losses_trains_each_and_prints_a_row(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gan_losses, "CHANNELS", 4)
    monkeypatch.setattr(gan_losses, "CRITIC", 2)
    monkeypatch.setattr(gan_losses, "JUDGED", 32)
    names = ["pixels alone", "hinge", "Wasserstein, gradient penalty"]
    monkeypatch.setattr(gan_losses, "LOSSES", {name: gan_losses.LOSSES[name] for name in names})
    photos, out = str(folder / "photos"), folder / "losses"
    options = ["--start-steps", "1", "--steps", "2", "--crop", "48", "--batch", "2"]
    gan_losses.main([photos, photos, *options, "--out", str(out)])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:] for line in lines[2:]}
    assert list(rows) == ["the start", *names]
    assert rows["pixels alone"][2:4] == ["–", "–"] and rows[names[2]][2] == "–"
    assert 0.9 < float(rows["hinge"][2]) < 1.1, "nothing is learnt in two steps"
    critic = training.load_checkpoint(out / "hinge" / "checkpoints")["critic"]
    assert critic.keys() == VGGDiscriminator(2).state_dict().keys()
    weights = [path.stat().st_mtime_ns for path in out.glob("*/model/model.safetensors")]
    gan_losses.main([photos, photos, *options, "--out", str(out)])
    again = [path.stat().st_mtime_ns for path in out.glob("*/model/model.safetensors")]
    assert again == weights, "what is there is not trained again"


def test_equal_size_prints_a_row_for_each_network(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"SRResNet": ["channels=4", "blocks=1"], "SPAN": ["channels=4"]}
    networks = {name: (equal_size.NETWORKS[name][0], config) for name, config in small.items()}
    monkeypatch.setattr(equal_size, "NETWORKS", networks)
    photos, options = str(folder / "photos"), ["--steps", "1", "--crop", "48", "--batch", "2"]
    equal_size.main([photos, photos, *options, "--out", str(folder / "sizes")])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:]] == list(small)
    assert " K | " in lines[2] and float(lines[2].split(" | ")[1]) > 5


def test_the_networks_have_one_size() -> None:
    sizes = []
    for network, config in equal_size.NETWORKS.values():
        values = {name: json.loads(value) for name, _, value in (c.partition("=") for c in config)}
        net = super_resolution.NETWORKS[network](**values)
        sizes.append(sum(parameter.numel() for parameter in net.parameters()))
    assert max(sizes) < 1.1 * min(sizes)


def test_the_same_pattern_everywhere_is_no_variety(noise: Callable[..., Tensor]) -> None:
    start = [noise(1, 3, 64, 96, seed=k) for k in range(2)]
    pattern = noise(1, 3, 4, 4, seed=9).tile(16, 24) - 0.5
    stamped = [x + 0.1 * pattern for x in start]
    assert gan_losses.variety(stamped, start) == pytest.approx(0, abs=1e-5)
    own = [
        x + 0.1 * torch.randn(x.shape, generator=torch.manual_seed(k))
        for k, x in enumerate(start, 3)
    ]
    assert gan_losses.variety(own, start) == pytest.approx(1, abs=0.02)


def test_the_swing_is_the_largest_fall(tmp_path: Path) -> None:
    (tmp_path / "figures.csv").write_text("step,Set5_x4\n1,29\n2,28.5\n3,30\n4,28.8\n")
    assert gan_losses.swing(tmp_path) == pytest.approx(1.2)


# -- films, and many pictures -------------------------------------------------------------------


def test_a_window_that_moves_by_whole_pixels_is_painted_as_it_was(
    folder: Path,
    scene: Callable[[int, int], Tensor],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    to_pil(Picture(scene(170, 180))).save(folder / "photo.png")
    monkeypatch.setattr(temporal, "LENGTH", 2)
    monkeypatch.setattr(temporal, "SIDE", 160)
    temporal.main([str(folder / "dots"), "--photo", str(folder / "photo.png")])
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0] for row in rows] == ["pan 0, 4", "pan 0, 1", "pan 2, 3"]
    for row in rows:
        unpainted, fixed, moving, smoothed = (float(cell.split(" / ")[0]) for cell in row[1:])
        assert unpainted == 0 and moving < 0.2 * fixed and smoothed < fixed


def test_a_films_motion_is_found(noise: Callable[..., Tensor]) -> None:
    frame = noise(1, 3, 96, 96)
    moved = frame.roll((3, -5), (2, 3))
    found = temporal.blocks(frame, moved)[:, 1:-1, 1:-1]
    assert found[0].unique().tolist() == [3] and found[1].unique().tolist() == [-5]


def test_throughput_counts_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.photo().save_pretrained(tmp_path / "photo")
    monkeypatch.setattr(throughput, "CASES", (((16, 24), 2),))
    throughput.main([str(tmp_path / "photo")])
    assert "| 24 × 16 | 48 × 32 | " in capsys.readouterr().out


def test_live_counts_frames(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.photo().save_pretrained(tmp_path / "photo")
    monkeypatch.setattr(live, "SIDES", (64,))
    live.main([str(tmp_path / "photo"), "--seconds", "0.5", "--threads", "1"])
    (*_, row) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\| 64 \| [\d.]+ a second, [\d.]+ s of a core each \|", row)


def test_grain_is_averaged_away(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grain, "SIDE", 48)
    monkeypatch.setattr(grain, "GRAINS", (8,))
    out = folder / "frames"
    out.mkdir()
    words = ["--photos", str(folder / "photos"), "--frames-to", str(out)]
    grain.main([str(folder / "photo"), *words])
    (*_, row) = capsys.readouterr().out.splitlines()
    plain, averaged, *_ = (float(figure) for figure in re.findall(r"([\d.]+), coarse", row))
    assert 6 < plain < 9 and averaged < 0.8 * plain
    assert len(list(out.iterdir())) == 4


def test_pairs_are_compared_with_each_colours_mean(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of pairs in which red becomes grey (as it was in the mean) and black becomes white."""
    for folder, tones in (("known", (90, 110)), ("new", (120,))):
        (tmp_path / folder).mkdir()
        for tone in tones:
            pair = Image.new("RGB", (128, 64), (255, 255, 255))
            pair.paste((200, 0, 0), (32, 0, 64, 64))
            pair.paste((0, 0, 0), (0, 0, 32, 64))
            pair.paste((tone,) * 3, (96, 0, 128, 64))
            pair.save(tmp_path / folder / f"{tone}.png")
    torch.manual_seed(0)
    UNetGenerator(4, levels=3).save_pretrained(tmp_path / "net")
    known, new, net = (str(tmp_path / name) for name in ("known", "new", "net"))
    pairs.main([net, "--pairs", known, "--held-out", new])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| 1 held-out pairs | levels |"
    given = (255 + (200 - 120 + 2 * 120) / 3) / 2
    assert lines[2] == f"| the given itself | {given:.1f} |"
    assert lines[3] == "| each colour's mean | 10.0 |", "half of the picture is 20 off"
    assert re.fullmatch(r"\| the network \| \d+\.\d \|", lines[4])


def test_a_colour_that_no_pair_has_becomes_what_the_nearest_does() -> None:
    table = pairs.Colours()
    picture = torch.zeros(3, 2, 2, dtype=torch.uint8)
    table.learn(picture, picture + 50)
    table.learn(picture + 255, picture + 100)
    given = torch.full((1, 3, 2, 2), 0.9)
    assert torch.equal(table.apply(given), torch.full_like(given, 100 / 255))
