import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from stylesr import tiling
from stylesr.blending import blend, strength
from stylesr.colors import keep_photo_colors, palette_only
from stylesr.errors import ImageError, InputError, ModelError, OutOfMemory
from stylesr.models import (
    ESPCN,
    RLFN,
    SRCNN,
    VDSR,
    CompactNet,
    Generator,
    MicroAST,
    ResnetGenerator,
    TransformerNet,
    UNetGenerator,
)
from stylesr.models.stylesr_net import StyleSRNet
from stylesr.passes import (
    WHOLE_PIXELS,
    Pass,
    chain_passes,
    default_brush,
    photo_passes,
    style_passes,
    target_size,
)
from stylesr.picture import Picture
from stylesr.pipeline import Progress, StyleSRPipeline
from stylesr.resample import resize
from tests import tiny

Scene = Callable[[int, int], Tensor]
SIZES = [(37, 53), (1, 1), (5, 300)]


@pytest.fixture(scope="module")
def pipe() -> StyleSRPipeline:
    photo = tiny.photo()
    pipeline = StyleSRPipeline(photo, {"waves": tiny.style(photo, 1), "dots": tiny.style(photo, 2)})
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture
def picture(scene: Scene) -> Picture:
    return Picture(scene(37, 53))


def result(pipe: StyleSRPipeline, image: Any, **options: Any) -> Picture:
    return tiling.drain(pipe.stream(image, **options))


def pixels(pipe: StyleSRPipeline, image: Any, **options: Any) -> Tensor:
    return result(pipe, image, **options).pixels


# -- sizes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.5, 1, 1.5, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("style", ["photo", "waves"])
def test_every_factor_gives_its_size(
    pipe: StyleSRPipeline, picture: Picture, style: str, scale: float
) -> None:
    out = pixels(pipe, picture, style=style, scale=scale)
    assert out.shape == (3, int(37 * scale + 0.5), int(53 * scale + 0.5))
    assert out.min() >= 0 and out.max() <= 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [0.3, 1, 2.6, 4])
@pytest.mark.parametrize("brush", [1, 4])
def test_odd_sizes(
    pipe: StyleSRPipeline, scene: Scene, size: tuple[int, int], scale: float, brush: int
) -> None:
    out = pixels(pipe, Picture(scene(*size)), scale=scale, brush=brush)
    height, width = (max(1, int(n * scale + 0.5)) for n in size)
    assert out.shape == (3, height, width)
    assert bool(out.isfinite().all())


def test_sizes_are_rounded_half_up_and_at_least_one() -> None:
    assert target_size((3, 5), 1.5) == (5, 8)
    assert target_size((1, 10), 0.04) == (1, 1)


def test_native_factors_run_one_pass_and_others_the_next_one_above() -> None:
    size = (30, 40)
    for scale, factor in ((1, 1), (1.5, 2), (2, 2), (3, 4), (4, 4)):
        target = target_size(size, scale)
        assert style_passes(size, target, 1) == (Pass("style", size, factor, 12),)
        assert photo_passes(size, target) == (Pass("photo", size, factor),)


def test_above_four_photo_runs_once_more() -> None:
    for scale in (4.5, 6, 8):
        passes = style_passes((30, 40), target_size((30, 40), scale), 1)
        assert passes == (Pass("style", (30, 40), 4, 12), Pass("photo", (120, 160), 2))


def test_a_reduction_is_painted_after_it_and_runs_nothing_for_photo() -> None:
    assert style_passes((30, 40), (15, 20), 1) == (Pass("style", (15, 20), 1, 12),)
    assert photo_passes((30, 40), (15, 20)) == ()


def test_a_brush_paints_smaller_and_photo_enlarges_the_rest() -> None:
    assert style_passes((30, 40), (120, 160), 2) == (
        Pass("style", (30, 40), 2, 12),
        Pass("photo", (60, 80), 2),
    )
    assert style_passes((30, 40), (30, 40), 2) == (
        Pass("style", (15, 20), 1, 12),
        Pass("photo", (15, 20), 2),
    )
    assert style_passes((5, 7), (15, 21), 4) == (
        Pass("style", (4, 6), 1, 12),
        Pass("photo", (4, 6), 4),
    )


@pytest.mark.parametrize("size", [(1, 1), (37, 53), (5, 300), (101, 99)])
@pytest.mark.parametrize("brush", [1, 2, 4])
def test_passes_always_reach_the_target(size: tuple[int, int], brush: int) -> None:
    for scale in (0.01, 0.3, 0.99, 1.01, 1.9, 2.01, 3.99, 4.01, 5, 7.99, 8):
        target = target_size(size, scale)
        reached = style_passes(size, target, brush)[-1].result
        assert reached[0] >= target[0] and reached[1] >= target[1]


def test_the_default_brush_follows_the_longest_side() -> None:
    brushes = [default_brush((100, side)) for side in (1, 1448, 1449, 2896, 2897, 20000)]
    assert brushes == [1, 1, 2, 2, 4, 4]
    assert default_brush((2000, 100)) == 2


# -- what is computed -------------------------------------------------------------------------


def by_hand(net: StyleSRNet, image: Tensor, factor: int, seed: int = 0) -> Tensor:
    """Pad to the multiple, and by twelve trunk pixels for a style; enlarge whole, crop, clamp."""
    height, width = image.shape[-2:]
    border, multiple = 48 // factor * net.paints, 4 // factor
    below, right = (border + -n % multiple for n in (height, width))
    padded = F.pad(image[None], (border, right, border, below), mode="reflect")
    with torch.no_grad():
        out = net(padded, factor, seed=seed)
    start = border * factor
    return out[0, :, start : start + height * factor, start : start + width * factor].clamp(0, 1)


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_a_native_factor_is_one_padded_run_of_the_network(
    pipe: StyleSRPipeline, picture: Picture, factor: int
) -> None:
    expected = by_hand(pipe.photo, picture.pixels, factor)
    torch.testing.assert_close(
        pixels(pipe, picture, style="photo", scale=factor), expected, atol=1e-6, rtol=0
    )


def test_a_factor_between_natives_is_reduced_from_the_one_above(
    pipe: StyleSRPipeline, picture: Picture
) -> None:
    larger = by_hand(pipe.photo, picture.pixels, 4)[None]
    expected = resize(larger, (111, 159)).clamp(0, 1)[0]
    torch.testing.assert_close(
        pixels(pipe, picture, style="photo", scale=3), expected, atol=1e-5, rtol=0
    )


def test_photo_reduces_by_plain_resampling(pipe: StyleSRPipeline, picture: Picture) -> None:
    expected = resize(picture.pixels[None], (19, 27)).clamp(0, 1)[0]
    assert torch.equal(pixels(pipe, picture, style="photo", scale=0.5), expected)


def test_a_brush_is_a_small_painting_enlarged_by_photo(
    pipe: StyleSRPipeline, picture: Picture
) -> None:
    photo = pipe.photo
    painted = by_hand(tiny.style(photo, 1), picture.pixels, 2, seed=7)
    expected = by_hand(photo, painted, 2)
    out = pixels(pipe, picture, style="waves", scale=4, brush=2, seed=7)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("tile_size", [64, 100])
@pytest.mark.parametrize("factor", [1, 2, 4])
def test_tiled_equals_whole(
    pipe: StyleSRPipeline, scene: Scene, size: tuple[int, int], tile_size: int, factor: int
) -> None:
    image = Picture(scene(*size))
    whole = pixels(pipe, image, scale=factor, seed=3)
    assert pipe.plan(size, scale=factor, tile_size=tile_size).tiles > (size == (37, 53))
    tiled = pixels(pipe, image, scale=factor, seed=3, tile_size=tile_size)
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)


def test_tiling_is_exact_through_several_passes(pipe: StyleSRPipeline, scene: Scene) -> None:
    image = Picture(scene(20, 26))
    options = {"scale": 6, "brush": 2, "color": "palette"}
    tiled = pixels(pipe, image, tile_size=64, **options)
    torch.testing.assert_close(tiled, pixels(pipe, image, **options), atol=2e-5, rtol=0)


def test_large_pictures_are_divided_by_default(pipe: StyleSRPipeline) -> None:
    assert pipe.plan((384, 384), scale=4, brush=1).tiles == 1
    assert pipe.plan((512, 512), scale=4, brush=1).tiles == 4
    assert pipe.plan((1024, 1024), scale=4, brush=1).tiles == 16


def test_the_same_seed_gives_the_same_picture_and_another_seed_another(
    pipe: StyleSRPipeline, picture: Picture
) -> None:
    first = pixels(pipe, picture, scale=2, seed=5)
    assert torch.equal(first, pixels(pipe, picture, scale=2, seed=5))
    assert not torch.equal(first, pixels(pipe, picture, scale=2, seed=6))
    unpainted = [pixels(pipe, picture, style="photo", scale=2, seed=seed) for seed in (5, 6)]
    assert torch.equal(*unpainted)


def test_the_input_is_left_as_it_was(pipe: StyleSRPipeline, picture: Picture) -> None:
    before = picture.pixels.clone()
    for scale in (0.5, 1, 2):
        pixels(pipe, picture, scale=scale, color="photo")
        pixels(pipe, picture, style="photo", scale=scale)
    assert torch.equal(picture.pixels, before)


def test_results_are_ordinary_tensors(pipe: StyleSRPipeline, picture: Picture) -> None:
    out = pixels(pipe, picture, scale=1)
    assert not out.is_inference() and not out.requires_grad
    out.mul_(0.5)  # would raise for a tensor made in inference mode


# -- strength, mixes, colours -----------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.5, 1, 2, 6])
def test_strength_zero_is_photo_exactly(
    pipe: StyleSRPipeline, picture: Picture, scale: float
) -> None:
    photo = pixels(pipe, picture, style="photo", scale=scale)
    weak = pixels(pipe, picture, style="waves", scale=scale, strength=0, brush=2, color="palette")
    assert torch.equal(weak, photo)


def test_strength_one_is_the_style_exactly(pipe: StyleSRPipeline, picture: Picture) -> None:
    alone = StyleSRPipeline(tiny.photo(), {"waves": tiny.style(tiny.photo(), 1)})
    expected = pixels(alone, picture, scale=2)
    assert torch.equal(pixels(pipe, picture, style="waves", scale=2, strength=1), expected)
    assert torch.equal(pixels(pipe, picture, style={"waves": 3}, scale=2), expected)


@pytest.mark.parametrize("amount", [0.4, 1.5])
def test_a_strength_between_is_the_interpolated_network(
    pipe: StyleSRPipeline, picture: Picture, amount: float
) -> None:
    net = strength(pipe.photo, tiny.style(pipe.photo, 1), amount)
    expected = by_hand(net, picture.pixels, 2)
    out = pixels(pipe, picture, style="waves", scale=2, strength=amount)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)


def test_a_mix_is_the_blended_network_and_strength_applies_to_it(
    pipe: StyleSRPipeline, picture: Picture
) -> None:
    photo = pipe.photo
    mixed = blend({tiny.style(photo, 1): 3, tiny.style(photo, 2): 1})
    for amount in (1, 0.6):
        expected = by_hand(strength(photo, mixed, amount), picture.pixels, 2)
        out = pixels(
            pipe, picture, style={"dots": 0.5, "waves": 1.5, "photo": 0}, scale=2, strength=amount
        )
        torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)


def test_a_mix_with_the_base_is_a_weaker_style(pipe: StyleSRPipeline, picture: Picture) -> None:
    weak = pixels(pipe, picture, style="waves", scale=1, strength=0.25)
    mixed = pixels(pipe, picture, style={"waves": 1, "photo": 3}, scale=1)
    assert torch.equal(weak, mixed)
    photo = pixels(pipe, picture, style="photo", scale=1)
    assert torch.equal(pixels(pipe, picture, style={"photo": 1}, scale=1, strength=0.3), photo)


def test_blends_are_kept_and_bounded(picture: Picture) -> None:
    photo = tiny.photo()
    pipe = StyleSRPipeline(photo, {"waves": tiny.style(photo, 1)})
    first = pixels(pipe, picture, scale=1, strength=0.5)
    for amount in (0.1, 0.2, 0.3, 0.4, 0.6):
        pixels(pipe, picture, scale=1, strength=amount)
    assert len(pipe._blends) == 4
    assert torch.equal(pixels(pipe, picture, scale=1, strength=0.5), first)


@pytest.mark.parametrize("scale", [0.5, 2, 5])
@pytest.mark.parametrize(
    ("color", "recolor"), [("photo", keep_photo_colors), ("palette", palette_only)]
)
def test_colors_are_taken_from_the_enlarged_photo(
    pipe: StyleSRPipeline,
    picture: Picture,
    color: str,
    recolor: Callable[[Tensor, Tensor], Tensor],
    scale: float,
) -> None:
    painted = pixels(pipe, picture, scale=scale)[None]
    photo = pixels(pipe, picture, style="photo", scale=scale)[None]
    out = pixels(pipe, picture, scale=scale, color=color)
    assert torch.equal(out, recolor(painted, photo)[0])
    assert not torch.equal(out, painted[0])


# -- pictures in and out ----------------------------------------------------------------------


def test_gray_stays_gray_unless_a_style_paints_it(pipe: StyleSRPipeline, scene: Scene) -> None:
    gray = scene(20, 30).mean(0, keepdim=True).repeat(3, 1, 1)
    source = Picture(gray, gray=True, bits=16, metadata={"DateTime": "2020:01:01 00:00:00"})
    for options in ({"style": "photo"}, {"color": "photo"}):
        out = result(pipe, source, scale=2, **options)
        assert out.gray and out.bits == 16 and out.metadata == source.metadata
        assert torch.equal(out.pixels[0], out.pixels[1])
        assert torch.equal(out.pixels[0], out.pixels[2])
    painted = result(pipe, source, scale=2)
    assert not painted.gray and not torch.equal(painted.pixels[0], painted.pixels[1])


def test_a_second_photo_model_enlarges_and_does_not_paint(scene: Scene) -> None:
    base = tiny.photo()
    vivid = tiny.style(base, 3)
    torch.nn.init.zeros_(vivid.noise.weight)
    pipe = StyleSRPipeline(base, {"vivid": vivid, "waves": tiny.style(base, 1)})
    size = (500, 500)
    assert pipe.plan(size, "vivid").brush == 1 and not pipe.plan(size, "vivid").paints
    assert pipe.plan(size, {"vivid": 1, "waves": 1}).brush == 2
    gray = Picture(scene(20, 30).mean(0, keepdim=True).repeat(3, 1, 1), gray=True)
    assert result(pipe, gray, style="vivid", scale=2).gray


@pytest.mark.parametrize("scale", [0.5, 1, 3])
def test_alpha_is_resampled_and_stays_in_range(
    pipe: StyleSRPipeline, scene: Scene, scale: float
) -> None:
    alpha = scene(20, 30)[1:2].round()
    out = result(pipe, Picture(scene(20, 30), alpha), scale=scale)
    assert out.alpha is not None and out.alpha.shape == (1, int(20 * scale), int(30 * scale))
    assert out.alpha.min() >= 0 and out.alpha.max() <= 1
    if scale == 1:
        assert torch.equal(out.alpha, alpha)


def test_every_kind_of_source_gives_the_same(
    pipe: StyleSRPipeline, scene: Scene, tmp_path: Path
) -> None:
    array = (scene(12, 9).permute(1, 2, 0) * 255).round().byte().numpy()
    image = Image.fromarray(array)
    path = tmp_path / "scene.png"
    image.save(path)
    decoded = Picture(torch.from_numpy(array).permute(2, 0, 1).float() / 255)
    sources: list[Any] = [image, array, path, str(path), path.read_bytes(), decoded]
    outputs = pipe(sources, scale=2, output_type="pt").images
    assert all(torch.equal(out, outputs[0]) for out in outputs[1:])
    assert len(outputs) == len(sources)


def test_output_types(pipe: StyleSRPipeline, scene: Scene) -> None:
    opaque, clear = Picture(scene(6, 8)), Picture(scene(6, 8), torch.full((1, 6, 8), 0.5))
    for source, channels in ((opaque, 3), (clear, 4)):
        (tensor,) = pipe(source, scale=2, output_type="pt").images
        (array,) = pipe(source, scale=2, output_type="np").images
        (image,) = pipe(source, scale=2).images
        assert tensor.shape == (channels, 12, 16)
        assert np.array_equal(array, tensor.permute(1, 2, 0).numpy())
        assert (image.mode, image.size) == ("RGBA" if channels == 4 else "RGB", (16, 12))
        assert np.abs(np.asarray(image) / 255 - array).max() <= 0.5 / 255 + 1e-6


def test_a_list_may_hold_pictures_of_different_sizes(pipe: StyleSRPipeline, scene: Scene) -> None:
    images = pipe([Picture(scene(4, 6)), Picture(scene(9, 5))], scale=2).images
    assert [image.size for image in images] == [(12, 8), (10, 18)]


# -- progress ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"scale": 1},
        {"scale": 4, "tile_size": 64},
        {"scale": 6, "tile_size": 100, "brush": 2, "color": "photo"},
        {"scale": 4.5, "tile_size": 128, "color": "palette"},
    ],
)
def test_progress_counts_real_tiles_of_all_passes(
    pipe: StyleSRPipeline, picture: Picture, options: dict[str, Any]
) -> None:
    steps: list[Progress] = []
    out = tiling.drain(pipe.stream(picture, **options), steps.append)
    plan = pipe.plan((37, 53), **options)
    assert [step.done for step in steps] == list(range(1, plan.tiles + 1))
    assert {step.total for step in steps} == {plan.tiles}
    seconds = [step.seconds for step in steps]
    assert seconds == sorted(seconds) and seconds[0] > 0
    assert (out.height, out.width) == (plan.height, plan.width)


def test_a_plain_reduction_has_no_steps(pipe: StyleSRPipeline, picture: Picture) -> None:
    work = pipe.stream(picture, style="photo", scale=0.5)
    with pytest.raises(StopIteration) as end:
        next(work)
    assert end.value.value.height == 19


def test_closing_a_stream_stops_it(
    pipe: StyleSRPipeline, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    forward = StyleSRNet.forward

    def counted(*args: Any, **kwargs: Any) -> Tensor:
        nonlocal calls
        calls += 1
        return forward(*args, **kwargs)

    monkeypatch.setattr(StyleSRNet, "forward", counted)
    work = pipe.stream(picture, scale=4, tile_size=64)
    assert next(work).done == 1
    work.close()
    assert calls == 1
    assert not torch.is_inference_mode_enabled() and torch.is_grad_enabled()


def test_nothing_is_computed_before_the_first_step(
    pipe: StyleSRPipeline, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StyleSRNet, "forward", lambda *_, **__: pytest.fail("ran"))
    pipe.stream(picture).close()


def test_the_progress_bar_counts_the_tiles_of_a_list(
    picture: Picture, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = StyleSRPipeline(tiny.photo())
    pipe([picture, picture], scale=2, tile_size=100)
    tiles = 2 * pipe.plan((37, 53), scale=2, tile_size=100).tiles
    assert f"{tiles}/{tiles}" in capsys.readouterr().err
    pipe.set_progress_bar_config(disable=True)
    pipe(picture, scale=1)
    assert capsys.readouterr().err == ""


# -- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 0}, "scale .* got 0"),
        ({"scale": 8.01}, "scale .* got 8.01"),
        ({"scale": float("nan")}, "scale .* got nan"),
        ({"scale": "4"}, "scale .* got '4'"),
        ({"scale": True}, "scale .* got True"),
        ({"strength": -0.1}, "strength .* got -0.1"),
        ({"strength": 1.6}, "strength .* got 1.6"),
        ({"brush": 3}, "brush must be 1, 2, 4 or None, got 3"),
        ({"brush": 2.0}, "brush .* got 2.0"),
        ({"brush": True}, "brush .* got True"),
        ({"seed": -1}, "seed .* got -1"),
        ({"seed": 2**32}, "seed .* got 4294967296"),
        ({"seed": 1.0}, "seed .* got 1.0"),
        ({"color": "sepia"}, "color .* got 'sepia'"),
        ({"tile_size": 60}, "tile_size .* got 60"),
        ({"tile_size": 66}, "tile_size .* multiple of 4, got 66"),
        ({"style": "mosaic"}, "'mosaic' is not loaded, only photo, waves, dots"),
        ({"style": {"waves": 1, "mosaic": 1}}, "'mosaic' is not loaded"),
        ({"style": {"waves": -1, "dots": 2}}, "weight of 'waves' .* got -1"),
        ({"style": {}}, "at least one weight above 0"),
        ({"style": ["waves"]}, r"style must be a name, a mix .* got \['waves'\]"),
    ],
)
def test_bad_arguments_are_refused_at_once(
    pipe: StyleSRPipeline, picture: Picture, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        pipe.stream(picture, **options)
    with pytest.raises(InputError, match=message):
        pipe(picture, **options)


def test_a_result_beyond_the_limit_is_refused_before_decoding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipe = StyleSRPipeline(tiny.photo(), max_output_pixels=10_000)
    monkeypatch.setattr("stylesr.pipeline.decode", lambda *_: pytest.fail("decoded"))
    with BytesIO() as file:
        Image.new("RGB", (30, 40)).save(file, "PNG")
        data = file.getvalue()
    with pytest.raises(InputError, match="30×40 pixels 120×160, more than the 10,000"):
        pipe.stream(data, scale=4)


def test_pictures_that_are_none_are_refused(pipe: StyleSRPipeline, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere\.png"):
        pipe(tmp_path / "nowhere.png")
    with pytest.raises(ImageError, match="Tensor"):
        pipe(torch.zeros(3, 8, 8))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no picture"):
        pipe([])
    with pytest.raises(InputError, match=r"output_type .* got 'jpg'"):
        pipe(Picture(torch.zeros(3, 8, 8)), output_type="jpg")  # type: ignore[arg-type]


# -- models -----------------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three model folders as a training leaves them; `photo` is the bundled one."""
    photo = tiny.photo()
    photo.save_pretrained(tmp_path / "photo")
    tiny.style(photo, 1).save_pretrained(tmp_path / "waves")
    tiny.style(photo, 2).save_pretrained(tmp_path / "dots")
    monkeypatch.setattr("stylesr.hub.bundled_folder", lambda: tmp_path)
    return tmp_path


def test_a_style_is_loaded_with_its_base(folders: Path, picture: Picture) -> None:
    pipe = StyleSRPipeline.from_pretrained("waves")
    assert (pipe.base_name, pipe.styles) == ("photo", ["waves"])
    expected = by_hand(tiny.style(tiny.photo(), 1), picture.pixels, 2)
    torch.testing.assert_close(pixels(pipe, picture, scale=2), expected, atol=1e-5, rtol=0)


def test_a_base_alone_enlarges(folders: Path, picture: Picture) -> None:
    pipe = StyleSRPipeline.from_pretrained("photo")
    assert pipe.styles == []
    assert torch.equal(
        pixels(pipe, picture, scale=2), pixels(pipe, picture, style="photo", scale=2)
    )


def test_the_first_name_is_the_default_style(folders: Path, picture: Picture) -> None:
    pipe = StyleSRPipeline.from_pretrained([folders / "dots", "photo", "waves"])
    assert pipe.styles == ["dots", "waves"]
    default, dots = pixels(pipe, picture, scale=1), pixels(pipe, picture, style="dots", scale=1)
    assert torch.equal(default, dots)


def test_save_and_load(folders: Path, tmp_path: Path, picture: Picture) -> None:
    pipe = StyleSRPipeline.from_pretrained(["waves", "dots"])
    saved = tmp_path / "saved"
    pipe.save_pretrained(saved)
    assert sorted(p.name for p in saved.iterdir()) == ["dots", "model_index.json", "photo", "waves"]
    again = StyleSRPipeline.from_pretrained(saved)
    assert (again.base_name, again.styles) == ("photo", ["waves", "dots"])
    options: dict[str, Any] = {"style": {"waves": 1, "dots": 2}, "scale": 2, "strength": 0.7}
    assert torch.equal(pixels(again, picture, **options), pixels(pipe, picture, **options))


def test_a_saved_folder_is_loaded_strictly(folders: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    StyleSRPipeline.from_pretrained("waves").save_pretrained(saved)
    (saved / "waves" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"waves.model\.safetensors is missing"):
        StyleSRPipeline.from_pretrained(saved)


@pytest.mark.parametrize(
    "index",
    [
        "{",
        "[]",
        '{"styles": []}',
        '{"base": "photo", "styles": ["../../photo"]}',
        '{"base": "photo", "styles": 3}',
        '{"base": null, "styles": []}',
    ],
)
def test_a_damaged_index_is_refused(tmp_path: Path, index: str) -> None:
    (tmp_path / "model_index.json").write_text(index, encoding="utf-8")
    with pytest.raises(ModelError, match=r"model_index\.json does not name"):
        StyleSRPipeline.from_pretrained(tmp_path)


def test_a_style_of_another_base_is_refused(folders: Path) -> None:
    tiny.photo(seed=9).save_pretrained(folders / "photo")
    with pytest.raises(ModelError, match=r"'waves' was trained from the base 'photo' .* 'photo'"):
        StyleSRPipeline.from_pretrained("waves")


def test_a_base_that_cannot_be_found_is_named(folders: Path, tmp_path: Path) -> None:
    tiny.style(tiny.photo(), 3, name="elsewhere").save_pretrained(tmp_path / "lost")
    with pytest.raises(ModelError, match="the base of 'lost', 'elsewhere', was not found"):
        StyleSRPipeline.from_pretrained(tmp_path / "lost")
    pipe = StyleSRPipeline.from_pretrained([folders / "photo", tmp_path / "lost"])
    assert pipe.styles == ["lost"]


def test_lists_that_make_no_pipeline_are_refused(folders: Path, tmp_path: Path) -> None:
    tiny.photo(seed=9).save_pretrained(tmp_path / "photo-2")
    tiny.style(tiny.photo(), 3).save_pretrained(tmp_path / "other" / "waves")
    with pytest.raises(ModelError, match="photo and photo-2 are bases"):
        StyleSRPipeline.from_pretrained(["photo", "photo-2"])
    with pytest.raises(InputError, match="two models are named 'waves'"):
        StyleSRPipeline.from_pretrained(["waves", tmp_path / "other" / "waves"])
    with pytest.raises(InputError, match="at least one model"):
        StyleSRPipeline.from_pretrained([])
    with pytest.raises(ModelError, match="no model 'nothing'"):
        StyleSRPipeline.from_pretrained("nothing")


def test_networks_that_make_no_pipeline_are_refused() -> None:
    photo = tiny.photo()
    style = tiny.style(photo, 1)
    with pytest.raises(ModelError, match="'photo' is no base but a style"):
        StyleSRPipeline(style)
    with pytest.raises(InputError, match="the base's name, 'photo'"):
        StyleSRPipeline(photo, {"photo": style})
    with pytest.raises(InputError, match=r"folder's name, got '\.\./x'"):
        StyleSRPipeline(photo, {"../x": style})


def test_to_moves_and_converts_every_network(picture: Picture, tmp_path: Path) -> None:
    photo = tiny.photo()
    pipe = StyleSRPipeline(photo, {"waves": tiny.style(photo, 1)})
    exact = pixels(pipe, picture, scale=2, strength=0.5)
    assert pipe.to(torch.bfloat16) is pipe
    assert pipe.dtype == torch.bfloat16 and pipe.device == torch.device("cpu")
    rough = pixels(pipe, picture, scale=2, strength=0.5)
    assert rough.dtype == torch.float32
    assert 0 < (rough - exact).abs().max() < 0.1
    with pytest.raises(ModelError, match="bfloat16"):
        pipe.save_pretrained(tmp_path)
    assert list(tmp_path.iterdir()) == []
    pipe.to("meta")
    assert {net.device.type for net in pipe._nets.values()} == {"meta"}


def test_a_pipeline_is_not_pushed_as_one(pipe: StyleSRPipeline) -> None:
    with pytest.raises(ModelError, match="each model by itself"):
        pipe.push_to_hub("someone/pipeline")


def test_the_index_is_small_and_readable(pipe: StyleSRPipeline, tmp_path: Path) -> None:
    pipe.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "model_index.json").read_text(encoding="utf-8")) == {
        "_class_name": "StyleSRPipeline",
        "base": "photo",
        "styles": ["waves", "dots"],
    }


# -- other networks that enlarge --------------------------------------------------------------


def enlarger(kind: type[Generator], **config: Any) -> Any:
    """A small random one."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(**{"channels": 4, **config}).eval()


def test_passes_of_a_network_of_one_factor() -> None:
    four = photo_passes((30, 40), (120, 160), (4,))
    assert four == (Pass("photo", (30, 40), 4),)
    assert photo_passes((30, 40), (60, 80), (4,)) == four  # and reduced
    assert photo_passes((30, 40), (240, 320), (4,)) == (*four, Pass("photo", (120, 160), 4))
    twos = [Pass("photo", (30 * n, 40 * n), 2) for n in (1, 2, 4)]
    assert photo_passes((30, 40), (240, 320), (2,)) == tuple(twos)
    assert photo_passes((30, 40), (30, 40), (4,)) == photo_passes((30, 40), (15, 20), (4,)) == ()
    assert photo_passes((30, 40), (90, 120), (2, 3), "style") == (Pass("style", (30, 40), 3),)


@pytest.mark.parametrize("scale", [0.5, 1, 1.5, 2, 3, 4, 8])
@pytest.mark.parametrize(
    "net",
    [enlarger(SRCNN), enlarger(ESPCN, scale=2), enlarger(ESPCN, scale=3), enlarger(VDSR)],
    ids=["x4", "x2", "x3", "all"],
)
def test_an_enlarger_alone_is_a_pipeline(net: Generator, picture: Picture, scale: float) -> None:
    pipe = StyleSRPipeline(net, base_name="mine")
    out = pixels(pipe, picture, scale=scale)
    assert out.shape == (3, int(37 * scale + 0.5), int(53 * scale + 0.5))
    if scale <= 1:
        size = (int(37 * scale + 0.5), int(53 * scale + 0.5))
        expected = resize(picture.pixels[None], size)[0].clamp(0, 1)
    elif scale in net.scales:
        with torch.inference_mode():
            expected = net(picture.pixels[None], scale)[0].clamp(0, 1)
    else:
        return
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "net",
    [enlarger(SRCNN, scale=3), enlarger(ESPCN), enlarger(VDSR, layers=3)],
    ids=["3", "4", "a"],
)
def test_an_enlargers_tiles_equal_the_whole(net: Generator, scene: Scene) -> None:
    pipe = StyleSRPipeline(net)
    picture = Picture(scene(90, 70))
    scale = net.scales[-1]
    assert pipe.plan((90, 70), scale=scale, tile_size=64).tiles > 9
    whole, tiled = (pixels(pipe, picture, scale=scale, tile_size=t) for t in (None, 64))
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)


def test_enlargers_stand_beside_styles(folders: Path, tmp_path: Path, picture: Picture) -> None:
    net = enlarger(SRCNN)
    net.save_pretrained(folders / "srcnn")
    pipe = StyleSRPipeline.from_pretrained(["waves", "srcnn"])
    assert (pipe.base_name, pipe.styles, pipe.enlargers) == ("photo", ["waves"], ["srcnn"])
    with torch.inference_mode():
        expected = net(picture.pixels[None])[0].clamp(0, 1)
    for options in ({}, {"strength": 0.3}, {"brush": 4, "color": "palette"}):
        out = pixels(pipe, picture, style="srcnn", scale=4, **options)
        torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)
    plan = pipe.plan((37, 53), style="srcnn", scale=4)
    assert not plan.paints and plan.weights == (("srcnn", 1.0),)
    with pytest.raises(InputError, match="'srcnn' only enlarges: it is not mixed"):
        pipe.plan((37, 53), style={"waves": 0.5, "srcnn": 0.5})
    pipe.save_pretrained(tmp_path / "saved")
    again = StyleSRPipeline.from_pretrained(tmp_path / "saved")
    assert (again.base_name, again.styles, again.enlargers) == ("photo", ["waves"], ["srcnn"])
    assert torch.equal(
        pixels(again, picture, style="srcnn", scale=2),
        pixels(pipe, picture, style="srcnn", scale=2),
    )


def test_enlargers_of_one_kind_are_mixed(picture: Picture) -> None:
    """As realesr-general-x4v3 and its twin that removes more noise."""
    faithful, clean = (enlarger(CompactNet, convolutions=1) for _ in range(2))
    with torch.no_grad():
        for parameter in clean.parameters():
            parameter.mul_(0.5)
    pipe = StyleSRPipeline(faithful, base_name="general", enlargers={"clean": clean})
    mix = {"general": 0.6, "clean": 0.2}  # three quarters, a quarter
    state = {k: v * (0.75 + 0.25 * 0.5) for k, v in faithful.state_dict().items()}
    expected = enlarger(CompactNet, convolutions=1)
    expected.load_state_dict(state)
    with torch.inference_mode():
        values = expected(picture.pixels[None])[0].clamp(0, 1)
    torch.testing.assert_close(pixels(pipe, picture, style=mix, scale=4), values)
    plan = pipe.plan((37, 53), style=mix, scale=4)
    assert not plan.paints and dict(plan.weights) == pytest.approx({"general": 0.75, "clean": 0.25})
    assert pipe.plan((37, 53), style={"clean": 2.0}, scale=4).weights == (("clean", 1.0),)
    other = StyleSRPipeline(faithful, base_name="general", enlargers={"srcnn": enlarger(SRCNN)})
    with pytest.raises(InputError, match="'general' and 'srcnn' are networks of different kinds"):
        other.plan((37, 53), style={"general": 0.5, "srcnn": 0.5})


def test_an_enlarger_is_loaded_by_its_class(folders: Path) -> None:
    enlarger(ESPCN, scale=2).save_pretrained(folders / "espcn")
    assert type(Generator.from_pretrained("espcn")) is ESPCN
    pipe = StyleSRPipeline.from_pretrained("espcn")
    assert (pipe.base_name, pipe.styles, pipe.enlargers) == ("espcn", [], [])


def test_a_network_that_reads_the_whole_picture_is_no_enlarger() -> None:
    net = RLFN(channels=4, blocks=1, attention_channels=2)
    for arguments in ({"photo": net}, {"photo": tiny.photo(), "enlargers": {"photo2": net}}):
        with pytest.raises(ModelError, match="is a RLFN, which does not run in tiles"):
            StyleSRPipeline(**arguments)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="base's name, 'photo'"):
        StyleSRPipeline(tiny.photo(), enlargers={"photo": enlarger(SRCNN)})


# -- chains: a style, then a network that enlarges --------------------------------------------


@pytest.fixture
def chain() -> StyleSRPipeline:
    """Every kind of style and two networks that enlarge."""
    photo = tiny.photo()
    return StyleSRPipeline(
        photo,
        {"waves": tiny.style(photo, 1)},
        enlargers={"srcnn": enlarger(SRCNN), "espcn": enlarger(ESPCN, scale=2)},
        painters={
            "udnie": enlarger(TransformerNet, blocks=1),
            "monet": enlarger(ResnetGenerator, blocks=1),
            "facade": enlarger(UNetGenerator, levels=2),
        },
    )


def test_passes_of_a_chain() -> None:
    """Painted at the picture's own size, or the brush's; reduced before, enlarged after."""
    own = Pass("style", (30, 40), 1)
    assert chain_passes((30, 40), (30, 40), None, (4,)) == (own,)
    large = Pass("enlarger", (30, 40), 4)
    assert chain_passes((30, 40), (120, 160), None, (4,)) == (own, large)
    assert chain_passes((30, 40), (90, 120), None, (4,)) == (own, large)
    assert chain_passes((60, 80), (30, 40), None, (4,)) == (own,)
    half = Pass("style", (60, 80), 1, 12)
    assert chain_passes((30, 40), (120, 160), 2, (2,), 12) == (half, Pass("enlarger", (60, 80), 2))


@pytest.mark.parametrize("style", ["udnie", "monet", "facade"])
def test_a_painter_paints_the_whole_and_an_enlarger_the_rest(
    chain: StyleSRPipeline, scene: Scene, style: str
) -> None:
    photo = scene(40, 52)  # sides that every one of them takes
    with torch.inference_mode():
        painted = chain._nets[style](photo[None]).clamp(0, 1)
        expected = chain._nets["srcnn"](painted)[0].clamp(0, 1)
    options = {"style": style, "enlarger": "srcnn", "scale": 4}
    torch.testing.assert_close(pixels(chain, Picture(photo), **options), expected)
    tiled = pixels(chain, Picture(photo), tile_size=64, **options)
    torch.testing.assert_close(tiled, expected, atol=1e-5, rtol=0)
    same = pixels(chain, Picture(photo), style=style, scale=1)
    torch.testing.assert_close(same, painted[0])
    plan = chain.plan((40, 52), **options)
    assert plan.paints and plan.enlarger == "srcnn" and plan.tiles == 2


def test_a_painter_alone_is_enlarged_by_the_base(chain: StyleSRPipeline, picture: Picture) -> None:
    by_base = pixels(chain, picture, style="udnie", scale=2)
    assert torch.equal(by_base, pixels(chain, picture, style="udnie", scale=2, enlarger="photo"))
    assert by_base.shape == (3, 74, 106)
    assert chain.plan((37, 53), style="udnie", scale=2).enlarger == "photo"
    out = pixels(chain, picture, style="monet", scale=2.5, brush=2, color="photo")
    assert out.shape == (3, 93, 133)


@pytest.mark.parametrize("scale", [0.5, 1, 1.5, 2, 3, 8])
def test_a_style_of_the_base_can_be_enlarged_by_another(
    chain: StyleSRPipeline, picture: Picture, scale: float
) -> None:
    out = pixels(chain, picture, style="waves", enlarger="espcn", scale=scale)
    assert out.shape == (3, int(37 * scale + 0.5), int(53 * scale + 0.5))
    if scale == 2:
        painted = pixels(chain, picture, style="waves", scale=1)
        with torch.inference_mode():
            expected = chain._nets["espcn"](painted[None], 2)[0].clamp(0, 1)
        torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)
        assert not torch.allclose(out, pixels(chain, picture, style="waves", scale=2), atol=0.01)


def test_an_enlarger_without_a_style_enlarges(chain: StyleSRPipeline, picture: Picture) -> None:
    expected = pixels(chain, picture, style="srcnn", scale=4)
    options: list[dict[str, Any]] = [{"style": "photo"}, {"style": "udnie", "strength": 0}]
    for option in options:
        out = pixels(chain, picture, scale=4, enlarger="srcnn", **option)
        assert torch.equal(out, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"enlarger": "udnie"}, "'udnie' is not loaded as one, only photo, srcnn, espcn"),
        ({"enlarger": "waves"}, "only photo, srcnn, espcn"),
        ({"style": {"udnie": 1, "waves": 1}}, "blends with nothing"),
        ({"style": "udnie", "strength": 0.5}, "'udnie' is a TransformerNet, which blends"),
    ],
)
def test_what_no_chain_can_do_is_refused(
    chain: StyleSRPipeline, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        chain.plan((37, 53), **options)


def test_a_picture_too_large_to_be_read_whole_is_refused(chain: StyleSRPipeline) -> None:
    side = int(WHOLE_PIXELS**0.5)
    chain.plan((side, side), style="facade", scale=1)
    with pytest.raises(InputError, match=f"as a whole.*{side + 4}×{side}.* or give a larger brush"):
        chain.plan((side, side + 4), style="facade", scale=1)
    chain.plan((side, side + 4), style="facade", scale=1, brush=2)


@pytest.mark.parametrize("style", ["udnie", "monet"])
def test_tiles_of_what_reads_statistics_equal_the_whole(
    chain: StyleSRPipeline, scene: Scene, style: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the picture itself, and where it is larger of a small copy of it."""
    image = Picture(scene(150, 130))
    whole = pixels(chain, image, style=style, scale=1)
    assert chain.plan((150, 130), style=style, scale=1, tile_size=64).tiles == 9
    tiled = pixels(chain, image, style=style, scale=1, tile_size=64)
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)
    monkeypatch.setattr("stylesr.passes.READ_SIDE", 100)
    by_copy = pixels(chain, image, style=style, scale=1)
    assert (by_copy - whole).abs().max() > 1e-3
    tiled = pixels(chain, image, style=style, scale=1, tile_size=64)
    torch.testing.assert_close(tiled, by_copy, atol=1e-5, rtol=0)


def test_painters_are_loaded_saved_and_find_what_enlarges(folders: Path, tmp_path: Path) -> None:
    enlarger(TransformerNet, blocks=1).save_pretrained(folders / "udnie")
    enlarger(SRCNN).save_pretrained(folders / "srcnn")
    pipe = StyleSRPipeline.from_pretrained(["udnie", "srcnn"])
    assert (pipe.base_name, pipe.styles, pipe.painters) == ("srcnn", ["udnie"], ["udnie"])
    alone = StyleSRPipeline.from_pretrained("udnie")
    assert (alone.base_name, alone.styles, alone.enlargers) == ("photo", ["udnie"], [])
    pipe = StyleSRPipeline.from_pretrained(["waves", "udnie", "srcnn"])
    pipe.save_pretrained(tmp_path / "saved")
    again = StyleSRPipeline.from_pretrained(tmp_path / "saved")
    assert (again.base_name, again.styles) == ("photo", ["waves", "udnie"])
    assert (again.enlargers, again.painters) == (["srcnn"], ["udnie"])


def test_a_network_that_needs_a_second_picture_is_no_painter() -> None:
    for net in (MicroAST(channels=4), enlarger(SRCNN)):
        with pytest.raises(ModelError, match="no style that keeps a picture's size"):
            StyleSRPipeline(tiny.photo(), painters={"any": net})


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_a_gray_picture_in_rgb_gets_no_cast(
    scene: Callable[[int, int], Tensor], scale: int
) -> None:
    photo = tiny.photo()
    pipe = StyleSRPipeline(photo, {"dots": tiny.style(photo, 1)})
    gray = Picture(scene(20, 24)[:1].repeat(3, 1, 1))
    for options in ({"style": "photo"}, {"style": "dots", "color": "photo"}):
        result = tiling.drain(pipe.stream(gray, scale=scale, **options))
        assert not result.gray
        assert bool((result.pixels == result.pixels[:1]).all())
    painted = tiling.drain(pipe.stream(gray, scale=scale, style="dots"))
    assert not bool((painted.pixels == painted.pixels[:1]).all())


# -- without memory -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
        RuntimeError("could not create a primitive"),
    ],
)
def test_too_little_memory_has_an_error_of_its_own(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*given: object, **options: object) -> None:
        raise error

    net = tiny.photo()
    monkeypatch.setattr(net, "forward", fails)
    with pytest.raises(OutOfMemory, match="a smaller picture, scale or tile size needs less"):
        StyleSRPipeline(net)(np.zeros((8, 8, 3), np.uint8))


def test_a_bug_is_no_want_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    net = tiny.photo()
    monkeypatch.setattr(net, "forward", lambda *given, **options: torch.zeros(1).view(2))
    with pytest.raises(RuntimeError, match="invalid for input"):
        StyleSRPipeline(net)(np.zeros((8, 8, 3), np.uint8))
