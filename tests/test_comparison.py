"""The table of networks that enlarge: its cells, its order, and the guide shows it as printed."""

from pathlib import Path

import pytest

from stylesr import evaluation
from stylesr.comparison import comparison
from stylesr.errors import InputError
from stylesr.evaluation import Report, Row
from stylesr.hub import bundled_names
from stylesr.models import ESPCN, SRCNN, VDSR, Generator
from stylesr.speed import multiply_adds
from tests import tiny

ROOT = Path(__file__).parents[1]


def row(dataset: str, scale: int, psnr: float, **more: float) -> Row:
    head = {"task": "super-resolution", "dataset": dataset, "scale": scale, "pictures": 5}
    bicubic = {"bicubic_psnr_y": 28.421, "bicubic_ssim_y": 0.81041}
    return {**head, "psnr_y": psnr, "ssim_y": 0.95431, **bicubic, **more}


def released(folder: Path, net: Generator, *rows: Row) -> str:
    net.save_pretrained(folder)
    parameters = sum(p.numel() for p in net.parameters())
    protocol = evaluation._protocol(rows)
    evaluation.write(folder, Report(net.fingerprint(), parameters, protocol, rows))
    return str(folder)


def test_a_line_for_each_network_and_a_table_for_each_factor(tmp_path: Path) -> None:
    espcn = released(
        tmp_path / "espcn",
        ESPCN(64, 4),
        row("Set5", 4, 30.5, lpips=0.25, bicubic_lpips=0.35),
        row("BSD100", 4, 26.9),
        {"task": "speed", "scale": 4, "peer": "a peer", "time_ratio": 0.041},
    )
    vdsr = released(
        tmp_path / "vdsr", VDSR(4, 3, [2, 4]), row("Set5", 4, 29.25), row("Set5", 2, 36.5)
    )
    style = released(tmp_path / "dots", tiny.style(tiny.photo(), 1))
    assert comparison([espcn, style, vdsr]) == (
        "| ×4 | parameters | G mult-adds | Set5 | Set14 | BSD100 | time |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        "| bicubic | – | – | 28.42 / 0.8104 / 0.3500 | – | 28.42 / 0.8104 | – |\n"
        "| vdsr | 0 K | 0.3 | 29.25 / 0.9543 | – | – | – |\n"
        "| espcn | 37 K | 2.1 | 30.50 / 0.9543 / 0.2500 | – | 26.90 / 0.9543 | 0.04 |\n"
        "\n"
        "| ×2 | parameters | G mult-adds | Set5 | Set14 | BSD100 | time |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        "| bicubic | – | – | 28.42 / 0.8104 | – | – | – |\n"
        "| vdsr | 0 K | 0.3 | 36.50 / 0.9543 | – | – | – |\n"
    )


def test_without_figures_there_is_no_table(tmp_path: Path) -> None:
    ESPCN(4).save_pretrained(tmp_path / "espcn")
    with pytest.raises(InputError, match="no model was measured on a benchmark"):
        comparison([str(tmp_path / "espcn")])


@pytest.mark.parametrize(
    ("net", "scale", "each_pixel"),
    [
        (ESPCN(64, 4), 4, (3 * 64 * 25 + 64 * 32 * 9 + 32 * 48 * 9) / 16),
        (ESPCN(64, 2), 2, (3 * 64 * 25 + 64 * 32 * 9 + 32 * 12 * 9) / 4),
        (SRCNN(64, 5), 4, 3 * 64 * 81 + 64 * 32 * 25 + 32 * 3 * 25),
        (VDSR(64, 20), 2, (2 * 3 * 64 + 18 * 64 * 64) * 9),
    ],
    ids=["ESPCN x4", "ESPCN x2", "SRCNN", "VDSR"],
)
def test_multiply_adds_by_hand(net: Generator, scale: int, each_pixel: float) -> None:
    assert multiply_adds(net, scale) == round(each_pixel * 720 * 1280)
    assert multiply_adds(net, scale, (100, 200)) == round(each_pixel * 100 * 200)


def test_stylesr_net_is_counted_without_its_strips() -> None:
    """At ×4: stem and noise, blocks of two convolutions, two upsamplers, the last and the skip."""
    net = tiny.photo()
    trunk = (3 * 8 + 3 * 8 + 2 * 8 * 8 + 8 * 4 * 8) * 9 + 3 * 48 * 25
    half, full = 8 * 4 * 4 * 9, 4 * 3 * 9
    expected = (trunk / 16 + half / 4 + full) * 720 * 1280
    assert multiply_adds(net, 4) == pytest.approx(expected)


def test_the_guide_shows_the_table_as_it_is_printed() -> None:
    assert comparison(bundled_names()) in (ROOT / "train" / "README.md").read_text()
