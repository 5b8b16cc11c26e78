"""Cards are rendered, never written: figures from metrics.json, words from releases.toml."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import ModelCard
from PIL import Image

from stylesr import cards, cli, evaluation, releases
from stylesr.errors import InputError, ModelError
from stylesr.evaluation import Report, Row
from stylesr.hub import bundled_folder, bundled_names
from stylesr.models import ESPCN, TransformerNet
from tests import tiny

RELEASES = """
[held_out]
name = "Holiday Photos"
url = "https://example.org/photos"
licence = "CC0-1.0"

[data.mine]
name = "my <photos> & others"
url = "https://example.org/mine"
licence = "CC BY 4.0"

[models.photo]
description = "Enlarges."
data = ["mine"]
preview = ["one"]

[models.photo.effort]
hardware = "two cores of a laptop"
hours = 1.5
watts = 20

[models.vivid]
description = "Restores."
data = ["mine"]
preview = ["one"]

[models.espcn]
description = "Sharpens."
data = ["mine"]
preview = ["one"]

[models.dots]
description = "Paints dots."
data = ["mine"]
preview = ["two"]
training = "4,000 steps."

[models.dots.work]
artist = "A. Painter"
title = "Dots"
year = "about 1900"
image = "dots.png"
provenance = "her studio"
licence = "public domain"
"""


@pytest.fixture
def words(tmp_path: Path) -> releases.Releases:
    path = tmp_path / "releases.toml"
    path.write_text(RELEASES)
    return releases.load(path)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    tiny.photo().save_pretrained(tmp_path / "photo")
    rows = [fidelity("Set5", 2, 36.91234), fidelity("Set5", 4, 31.61234), speed()]
    evaluation.write(tmp_path / "photo", report(rows))
    return tmp_path / "photo"


@pytest.fixture
def espcn(tmp_path: Path) -> Path:
    """A network of one factor that is no StyleSRNet."""
    ESPCN(4, scale=2).save_pretrained(tmp_path / "espcn")
    evaluation.write(tmp_path / "espcn", report([fidelity("Set5", 2, 35.5)]))
    (tmp_path / "espcn" / "preview.webp").write_bytes(b"a picture")
    return tmp_path / "espcn"


@pytest.fixture
def vivid(tmp_path: Path) -> Path:
    """A photo model with a base, measured with all that there is."""
    tiny.restorer(tiny.photo(), 1).save_pretrained(tmp_path / "vivid")
    lpips = {"lpips": 0.21, "base_lpips": 0.28, "bicubic_lpips": 0.41}
    base = {"base_psnr_y": 27.31, "base_ssim_y": 0.73}
    peer = {"peer": "known", "peer_psnr_y": 25.02, "peer_ssim_y": 0.69, "peer_lpips": 0.24}
    rows = [
        fidelity("BSD100", 2, 31.6, **lpips, **base),
        fidelity("BSD100", 4, 26.1, **lpips, **base, **peer),
        fidelity("BSD100", 4, 23.2, **lpips, **base, **peer) | {"task": "blind super-resolution"},
        interpolated(1.0, 26.1, 0.21),
        interpolated(0.5, 26.9, 0.25),
        interpolated(0.0, 27.31, 0.28),
    ]
    evaluation.write(tmp_path / "vivid", report(rows))
    return tmp_path / "vivid"


@pytest.fixture
def dots(tmp_path: Path) -> Path:
    tiny.style(tiny.photo(), 1).save_pretrained(tmp_path / "dots")
    evaluation.write(tmp_path / "dots", report([likeness(1.0, 0.3217), likeness(0.5, 0.6217)]))
    return tmp_path / "dots"


def report(rows: list[Row]) -> Report:
    return Report("abc" * 21 + "d", 123456, evaluation._protocol(rows), rows)


def fidelity(dataset: str, scale: int, psnr: float, **more: Any) -> Row:
    return {
        "task": "super-resolution",
        "dataset": dataset,
        "scale": scale,
        "pictures": 5,
        "psnr_y": psnr,
        "ssim_y": 0.9543,
        "bicubic_psnr_y": 28.4218,
        "bicubic_ssim_y": 0.8104,
        "gain_db": 3.2,
        **more,
    }


def interpolated(strength: float, psnr: float, lpips: float) -> Row:
    head = {"task": "interpolation", "dataset": "BSD100", "scale": 4, "strength": strength}
    return {**head, "pictures": 100, "psnr_y": psnr, "ssim_y": 0.7, "lpips": lpips}


def likeness(strength: float, ratio: float) -> Row:
    return {
        "task": "style",
        "dataset": "Holiday Photos",
        "features": "SqueezeNet 1.1",
        "scale": 4,
        "strength": strength,
        "pictures": 25,
        "style_distance": 0.2,
        "photo_style_distance": 0.9,
        "style_ratio": ratio,
        "style_ratio_together": ratio / 2,
        "content_distance": 0.5,
        "bicubic_content_distance": 0.25,
    }


def speed() -> Row:
    return {"task": "speed", "scale": 4, "peer": "a peer", "time_ratio": 0.314}


def front(text: str) -> dict[str, Any]:
    data: dict[str, Any] = ModelCard(text).data.to_dict()
    return data


def test_the_front_matter_is_what_the_hub_reads(
    photo: Path, vivid: Path, dots: Path, words: releases.Releases
) -> None:
    for folder in (photo, vivid, dots):
        data = front(cards.render(folder, words))
        assert data["license"] == "apache-2.0"
        assert data["library_name"] == "stylesr"
        assert data["pipeline_tag"] == "image-to-image"
        assert {"stylesr", "super-resolution"} <= set(data["tags"])
        assert ("style-transfer" in data["tags"]) == (folder == dots)
        assert "base_model" not in data  # a Hub id is not known yet


def test_the_model_index_holds_every_figure_with_its_protocol(
    photo: Path, words: releases.Releases
) -> None:
    (index,) = front(cards.render(photo, words))["model-index"]
    assert index["name"] == "photo"
    found = {
        (entry["dataset"]["name"], metric["type"]): metric["value"]
        for entry in index["results"]
        for metric in entry["metrics"]
    }
    assert found == {
        ("Set5 ×2", "psnr"): 36.91234,
        ("Set5 ×2", "ssim"): 0.9543,
        ("Set5 ×4", "psnr"): 31.61234,
        ("Set5 ×4", "ssim"): 0.9543,
    }
    for entry in index["results"]:
        assert entry["task"]["type"] == "image-to-image"
        assert entry["dataset"]["args"]["protocol"] == evaluation.PROTOCOL["super-resolution"]


def test_a_styles_model_index_tells_network_and_strength(
    dots: Path, words: releases.Releases
) -> None:
    (index,) = front(cards.render(dots, words))["model-index"]
    (entry,) = index["results"]
    ratios = {m["name"]: m["value"] for m in entry["metrics"] if m["type"] == "style-ratio"}
    assert ratios == {
        "style distance / that of the photo, SqueezeNet 1.1, strength 1": 0.3217,
        "style distance / that of the photo, SqueezeNet 1.1, strength 0.5": 0.6217,
    }


def test_a_photo_models_page(photo: Path, words: releases.Releases) -> None:
    page = cards.render(photo, words)
    assert "# photo\n\nEnlarges.\n" in page
    assert "| PSNR-Y (dB) | photo | bicubic |\n|---|---|---|\n| Set5 ×2 | 36.91 | 28.42 |\n" in page
    assert "| Set5 ×4 | 31.61 | 28.42 |\n\n| SSIM-Y | photo | bicubic |" in page
    assert "| LPIPS" not in page and "trade.webp" not in page
    assert "Hardware: two cores of a laptop, about 1.5 hours. Energy, an estimate: 0.03 kWh" in page
    assert "×4 takes 0.31 of the time of a peer." in page
    assert "123,456 parameters" in page
    assert "- [my <photos> & others](https://example.org/mine): CC BY 4.0\n" in page
    assert 'from_pretrained("photo")' in page and "--style photo" in page
    assert "medical" in page and "identification" in page and "forensic" in page
    assert "preview.webp" not in page  # there is none


def test_the_page_of_another_network(espcn: Path, words: releases.Releases) -> None:
    page = cards.render(espcn, words)
    assert "# espcn\n\nSharpens.\n" in page
    assert "![Pieces of photos enlarged twice: bicubic, espcn, the original](preview.webp)" in page
    assert 'pipe("photo.jpg", scale=2)' in page and "--style espcn --scale 2" in page
    assert "The network itself enlarges by 2;" in page
    assert "The network is the package's `ESPCN`, 123,456 parameters." in page
    assert "super_resolution.py` at ×2 on crops" in page
    assert "| Set5 ×2 | 35.50 | 28.42 |\n" in page
    assert "StyleSRNet" not in page and "strength" not in page and "At ×1" not in page


def test_lpips_has_columns_where_it_was_measured(photo: Path, words: releases.Releases) -> None:
    rows = [fidelity("Set5", 4, 31.6, lpips=0.1234, bicubic_lpips=0.4321)]
    evaluation.write(photo, report(rows))
    evaluation.write(photo, report([fidelity("Set5", 2, 36.9)]))
    page = cards.render(photo, words)
    table = "| LPIPS (SqueezeNet) | photo | bicubic |\n|---|---|---|\n"
    assert f"{table}| Set5 ×2 | – | – |\n| Set5 ×4 | 0.1234 | 0.4321 |\n" in page


def test_a_model_with_a_base_stands_beside_it_and_its_peer(
    vivid: Path, words: releases.Releases
) -> None:
    page = cards.render(vivid, words)
    assert (
        "| LPIPS (SqueezeNet) | vivid | photo | bicubic | known |\n|---|---|---|---|---|\n"
        "| BSD100 ×2 | 0.2100 | 0.2800 | 0.4100 | – |\n"
        "| BSD100 ×4 | 0.2100 | 0.2800 | 0.4100 | 0.2400 |\n"
        "| BSD100 ×4, degraded | 0.2100 | 0.2800 | 0.4100 | 0.2400 |\n"
    ) in page
    assert "| BSD100 ×4, degraded | 23.20 | 27.31 | 28.42 | 25.02 |\n" in page
    for task in ("super-resolution", "blind super-resolution", "interpolation"):
        assert page.count(f"\n{evaluation.PROTOCOL[task]}\n") == 1


def test_each_peer_has_its_column() -> None:
    rows = [
        fidelity("Set5", 4, 31.6, peer="one", peer_psnr_y=30.5),
        fidelity("Set14", 4, 28.2, peer="two", peer_psnr_y=27.5),
    ]
    table = cards.fidelity_tables(rows, "photo", None)[0]
    assert table.header == ["PSNR-Y (dB)", "photo", "bicubic", "one", "two"]
    assert [line[3:] for line in table.body] == [["30.50", "–"], ["–", "27.50"]]


def test_strengths_are_a_table_and_a_curve(vivid: Path, words: releases.Releases) -> None:
    page = cards.render(vivid, words)
    assert (
        "| BSD100 ×4, strength | PSNR-Y, dB | SSIM-Y | LPIPS |\n|---|---|---|---|\n"
        "| 0 | 27.31 | 0.7000 | 0.2800 |\n"
        "| 0.5 | 26.90 | 0.7000 | 0.2500 |\n"
        "| 1 | 26.10 | 0.7000 | 0.2100 |\n"
    ) in page
    assert "trade.webp" not in page
    (vivid / "trade.webp").write_bytes(b"a curve")
    assert "\n![PSNR over LPIPS from photo to vivid](trade.webp)\n" in cards.render(vivid, words)


def test_a_plot_of_quality_against_time_is_shown_where_there_is_one(
    vivid: Path, words: releases.Releases
) -> None:
    assert "front.webp" not in cards.render(vivid, words)
    (vivid / "front.webp").write_bytes(b"a plot")
    page = cards.render(vivid, words)
    assert "\n![PSNR over time at ×4: vivid and other networks](front.webp)\n" in page


def test_the_page_of_a_photo_model_with_a_base(vivid: Path, words: releases.Releases) -> None:
    page = cards.render(vivid, words)
    assert "[`photo`](../photo)" in page and "0 is plain enlargement by `photo`" in page
    assert "adversarial" in page and "rounds of blur, resizing, noise and JPEG" in page
    assert "The work:" not in page and "brush" not in page
    assert "Hardware" not in page  # not told


def test_degraded_and_interpolated_figures_have_entries_of_their_own(
    vivid: Path, words: releases.Releases
) -> None:
    (index,) = front(cards.render(vivid, words))["model-index"]
    found = {
        (entry["dataset"]["name"], entry["dataset"]["config"]): (
            entry["dataset"]["args"]["protocol"],
            {metric["name"]: metric["value"] for metric in entry["metrics"]},
        )
        for entry in index["results"]
    }
    assert list(found) == [
        ("BSD100 ×2", "x2"),
        ("BSD100 ×4", "x4"),
        ("BSD100 ×4, degraded", "x4-degraded"),
        ("BSD100 ×4, strengths", "x4-strengths"),
    ]
    protocol, figures = found["BSD100 ×4, degraded", "x4-degraded"]
    assert protocol == evaluation.PROTOCOL["blind super-resolution"]
    assert figures["LPIPS (SqueezeNet)"] == 0.21
    protocol, figures = found["BSD100 ×4, strengths", "x4-strengths"]
    assert protocol == evaluation.PROTOCOL["interpolation"]
    assert figures["PSNR-Y (dB), strength 0.5"] == 26.9 and len(figures) == 9


def test_a_styles_page(dots: Path, words: releases.Releases) -> None:
    (dots / "preview.webp").write_bytes(b"a picture")
    page = cards.render(dots, words)
    assert "| SqueezeNet 1.1 | 0.5 | 0.200 | 0.900 | 0.62 | 0.31 | 0.500 | 0.250 |\n" in page
    assert "A. Painter, *Dots*, about 1900; public domain. Reproduction: her studio." in page
    assert "4,000 steps." in page
    assert "(preview.webp)" in page and "[Holiday Photos](https://example.org/photos)" in page
    assert "from [`photo`](../photo)" in page
    assert page.index("## Use") < page.index("## Intended") < page.index("## Training")
    assert page.index("## Training") < page.index("## Results") < page.index("## Licence and")


def test_the_page_of_a_style_that_keeps_the_size(dots: Path, words: releases.Releases) -> None:
    TransformerNet(4, blocks=1).save_pretrained(dots)
    page = cards.render(dots, words)
    assert 'pipe("photo.jpg", scale=1)' in page and "--style dots --scale 1\n" in page
    assert "The network is the package's `TransformerNet`, 123,456 parameters. It reads" in page
    assert "Trained by `train/style.py`: the style" in page
    assert "It has no strengths" in page and "strength=" not in page and "None" not in page


def test_the_page_of_a_style_that_was_distilled(dots: Path, tmp_path: Path) -> None:
    path = tmp_path / "distilled.toml"
    teacher = '[models.dots.teacher]\nname = "big-dots"\nurl = "https://example.org/big"\n'
    path.write_text(RELEASES + teacher + 'licence = "MIT"\n')
    page = cards.render(dots, releases.load(path))
    assert "`train/distil.py` from [`photo`](../photo)" in page
    assert "[big-dots](https://example.org/big) paints" in page and "its weights: MIT" in page
    assert "train/style.py" not in page and "\n\n\n" not in page


def test_markdown_has_no_gaps_and_no_loose_ends(
    photo: Path, espcn: Path, vivid: Path, dots: Path, words: releases.Releases
) -> None:
    for folder in (photo, espcn, vivid, dots):
        page = cards.render(folder, words)
        assert "\n\n\n" not in page and "{" not in page.replace('{"dots": 0.6, "another": 0.4}', "")
        assert page.endswith("\n") and not page.endswith("\n\n")
        for line in page.splitlines():
            assert line == line.rstrip()


def test_write_puts_the_card_beside_the_weights(photo: Path, words: releases.Releases) -> None:
    cards.write(photo, words)
    assert (photo / "README.md").read_text(encoding="utf-8") == cards.render(photo, words)


def test_a_model_that_was_not_measured_has_no_card(photo: Path, words: releases.Releases) -> None:
    (photo / "metrics.json").unlink()
    with pytest.raises(ModelError, match="photo was never measured"):
        cards.render(photo, words)


def test_words_and_weights_must_be_of_one_kind(
    dots: Path, photo: Path, words: releases.Releases, tmp_path: Path
) -> None:
    dots.rename(tmp_path / "aside")
    photo.rename(tmp_path / "dots")
    (tmp_path / "aside").rename(tmp_path / "photo")
    with pytest.raises(InputError, match="dots is a photo model, so it has no work"):
        cards.render(tmp_path / "dots", words)
    with pytest.raises(InputError, match="photo is a style, so it has a work"):
        cards.render(tmp_path / "photo", words)


def test_a_template_that_asks_for_what_is_not_there_is_refused(
    photo: Path, words: releases.Releases, tmp_path: Path
) -> None:
    (tmp_path / "template.md").write_text("{{ energy }}")
    with pytest.raises(InputError, match=r"template.md.*'energy' is undefined"):
        cards.render(photo, words, tmp_path / "template.md")
    with pytest.raises(InputError, match=r"none.md"):
        cards.render(photo, words, tmp_path / "none.md")


@pytest.mark.parametrize("name", bundled_names())
def test_committed_curves_are_beside_their_figures(name: str) -> None:
    report = evaluation.read(bundled_folder() / name)
    assert report is not None
    assert bool(report.rows("interpolation")) == (bundled_folder() / name / "trade.webp").is_file()


@pytest.mark.parametrize("name", bundled_names())
def test_committed_cards_are_fresh(name: str) -> None:
    committed = (bundled_folder() / name / "README.md").read_text(encoding="utf-8")
    assert committed == cards.render(bundled_folder() / name, releases.load()), (
        f"run stylesr evaluate {name} --write"
    )


@pytest.mark.parametrize("name", bundled_names())
def test_committed_previews_are_small_pictures(name: str) -> None:
    path = bundled_folder() / name / "preview.webp"
    assert path.stat().st_size <= 250_000
    with Image.open(path, formats=["WEBP"]) as image:
        assert 1100 <= image.width <= 1300


def test_the_gallery_shows_the_committed_previews(tmp_path: Path) -> None:
    assert cli.main(["models", "--gallery", str(tmp_path / "gallery.webp")]) == 0
    drawn, committed = (
        np.asarray(Image.open(folder / "gallery.webp").convert("RGB"), dtype=float)
        for folder in (tmp_path, bundled_folder())
    )
    assert drawn.shape == committed.shape
    assert abs(drawn - committed).mean() < 1, "run stylesr models --gallery hub_cards/gallery.webp"
