"""The curve of strengths."""

from io import BytesIO

from PIL import Image

from stylesr import plots
from stylesr.fidelity import Row


def rows(*points: tuple[float, float, float]) -> list[Row]:
    return [
        {"dataset": "BSD100", "scale": 4, "strength": s, "psnr_y": psnr, "lpips": lpips}
        for s, psnr, lpips in points
    ]


POINTS = [(0.0, 27.3, 0.28), (0.5, 26.8, 0.25), (1.0, 26.1, 0.22)]


def test_a_curve_is_a_lossless_picture_that_repeats() -> None:
    drawn = plots.trade(rows(*POINTS), "photo", "vivid")
    with Image.open(BytesIO(drawn)) as image:
        assert image.format == "WEBP" and image.size == (720, 480)
        assert image.convert("RGB").getpixel((1, 1)) == (255, 255, 255)
    assert len(drawn) < 100_000
    assert plots.trade(rows(*POINTS), "photo", "vivid") == drawn


def test_the_order_of_rows_does_not_matter_and_figures_and_names_do() -> None:
    drawn = plots.trade(rows(*POINTS), "photo", "vivid")
    assert plots.trade(rows(*reversed(POINTS)), "photo", "vivid") == drawn
    assert plots.trade(rows(*POINTS[:2], (1.0, 26.1, 0.2)), "photo", "vivid") != drawn
    assert plots.trade(rows(*POINTS), "photo", "crisp") != drawn
