"""Style images through the pipeline, the command line, folders and films."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from stylesr import cards, cli, evaluation, hub, jobs, likeness, passes, pipeline, releases
from stylesr.errors import ImageError, InputError, ModelError
from stylesr.fidelity import hr_picture
from stylesr.images import decode
from stylesr.models import AdaINNet, CompactNet, Generator, MicroAST, StyleSRNet
from stylesr.models.adain_net import Statistics, mixed
from stylesr.orders import Choices
from stylesr.picture import Picture, to_pil
from stylesr.pipeline import StyleSRPipeline
from stylesr.publishing import failings
from stylesr.studio import Studio
from stylesr.tiling import drain
from tests import tiny, tiny_features

Scene = Callable[[int, int], Tensor]

pytestmark = pytest.mark.usefixtures("one_thread")


def painter() -> AdaINNet:
    """Of random weights, which paint differently for every style."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = AdaINNet(8, 3, 8, (8, 4), 2)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim > 1:
                inputs = parameter[0].numel()
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(0.2 / inputs**0.5 * noise)
    torch.nn.init.normal_(net.noise.weight, std=20, generator=generator)
    return net.eval()


@pytest.fixture
def pipe() -> StyleSRPipeline:
    photo = tiny.photo()
    pipeline = StyleSRPipeline(
        photo, {"dots": tiny.style(photo, 1)}, painters={"any-style": painter()}
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture
def works(tmp_path: Path, scene: Scene, noise: Callable[..., Tensor]) -> list[Path]:
    """Two pictures to paint like."""
    paths = [tmp_path / "waves.png", tmp_path / "sand.png"]
    to_pil(Picture(scene(70, 90).flip(0).contiguous())).save(paths[0])
    to_pil(Picture(noise(3, 64, 64) * torch.tensor([0.9, 0.5, 0.2])[:, None, None])).save(paths[1])
    return paths


@pytest.fixture
def photo(scene: Scene) -> Picture:
    return Picture(scene(45, 62))


def paint(pipe: StyleSRPipeline, photo: Picture, **options: Any) -> Tensor:
    result: Tensor = pipe(photo, output_type="pt", **options).images[0]
    return result


# -- the pipeline -------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1, 1.5, 2, 4, 5])
def test_any_factor_in_the_style_of_a_picture(
    pipe: StyleSRPipeline, photo: Picture, works: list[Path], scale: float
) -> None:
    results = [paint(pipe, photo, scale=scale, style_image=work) for work in works]
    expected = passes.target_size((45, 62), scale)
    assert all(result.shape == (3, *expected) for result in results)
    assert (results[0] - results[1]).abs().mean() > 0.01
    plain = paint(pipe, photo, scale=scale, style="photo")
    assert torch.equal(paint(pipe, photo, scale=scale, style_image=works[0], strength=0), plain)


def test_every_form_of_a_style_image_is_the_same(
    pipe: StyleSRPipeline, photo: Picture, works: list[Path]
) -> None:
    read = pipe.read_style(works[0])
    with Image.open(works[0]) as image:
        forms = [works[0], str(works[0]), works[0].read_bytes(), image.copy(), [works[0]], read]
    results = [paint(pipe, photo, scale=1, style_image=form) for form in forms]
    assert all(torch.equal(result, results[0]) for result in results)
    named = paint(pipe, photo, scale=1, style="any-style", style_image=works[0])
    assert torch.equal(named, results[0])


def test_several_pictures_are_mixed_by_their_weights(
    pipe: StyleSRPipeline, photo: Picture, works: list[Path]
) -> None:
    each = [pipe.read_style(work) for work in works]
    weighed = pipe.read_style(works, [3, 1])
    torch.testing.assert_close(weighed, mixed(each, [0.75, 0.25]))
    torch.testing.assert_close(pipe.read_style(works).means, mixed(each, [0.5, 0.5]).means)
    only = paint(pipe, photo, scale=1, style_image=works, style_weights=[1, 0])
    assert torch.equal(only, paint(pipe, photo, scale=1, style_image=works[0]))


def test_strength_seed_brush_and_colour_work_as_with_styles(
    pipe: StyleSRPipeline, photo: Picture, works: list[Path]
) -> None:
    options = {"scale": 2, "style_image": works[0]}
    results = [paint(pipe, photo, **options)]
    changes: list[dict[str, Any]] = [{"strength": 0.5}, {"seed": 1}, {"brush": 2}]
    changes += [{"color": "photo"}, {"color": "palette"}]
    for change in changes:
        results.append(paint(pipe, photo, **options, **change))
        assert all((results[-1] - other).abs().max() > 1e-3 for other in results[:-1]), change
    plan = pipe.plan((45, 62), scale=2, style_image=works[0], strength=0.5)
    assert plan.paints and plan.weights == (("any-style", 1.0),) and plan.strength == 0.5


def test_tiles_agree_as_they_share_one_reading(
    pipe: StyleSRPipeline, scene: Scene, works: list[Path]
) -> None:
    """Left light, right dark: a tile that read itself would be painted alike on both sides."""
    pixels = scene(96, 400) * torch.linspace(1, 0.1, 400)
    photo = Picture(pixels)
    for scale in (1, 2):
        options = {"scale": scale, "style_image": works[0], "brush": 1}
        whole = paint(pipe, photo, **options)
        tiles = paint(pipe, photo, **options, tile_size=128)
        assert pipe.plan((96, 400), **options, tile_size=128).tiles > 3
        torch.testing.assert_close(tiles, whole, atol=1e-5, rtol=0)
    net = painter()
    style = pipe.read_style(works[0])
    alone = net(pixels[None, :, :, :128], style)[0, ..., :64]  # a tile that reads itself
    assert (alone - paint(pipe, photo, scale=1, style_image=works[0])[..., :64]).abs().max() > 0.05


def test_a_large_photo_is_read_from_a_smaller_copy(
    pipe: StyleSRPipeline, monkeypatch: pytest.MonkeyPatch, scene: Scene, works: list[Path]
) -> None:
    monkeypatch.setattr(passes, "READ_SIDE", 64)
    sizes: list[torch.Size] = []
    read = AdaINNet.read

    def note(self: AdaINNet, picture: Tensor, scale: int = 1) -> Statistics:
        sizes.append(picture.shape[-2:])
        return read(self, picture, scale)

    monkeypatch.setattr(AdaINNet, "read", note)
    whole = paint(pipe, Picture(scene(90, 120)), scale=1, style_image=works[0])
    tiles = paint(pipe, Picture(scene(90, 120)), scale=1, style_image=works[0], tile_size=64)
    assert sizes == [(70, 90), (48, 64), (48, 64)]  # the style once, the photo by each run
    torch.testing.assert_close(tiles, whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (9, 9)])
def test_the_smallest_photos(
    pipe: StyleSRPipeline, scene: Scene, works: list[Path], size: tuple[int, int]
) -> None:
    for scale in (1, 4):
        result = paint(pipe, Picture(scene(*size)), scale=scale, style_image=works[0])
        assert result.shape[1:] == (size[0] * scale, size[1] * scale)


def test_transparency_stays(pipe: StyleSRPipeline, scene: Scene, works: list[Path]) -> None:
    photo = Picture(scene(20, 24), alpha=scene(20, 24)[:1])
    assert paint(pipe, photo, scale=1, style_image=works[0]).shape == (4, 20, 24)


def test_a_file_is_read_again_only_when_it_has_changed(
    pipe: StyleSRPipeline, works: list[Path]
) -> None:
    first = pipe.read_style(works[0])
    assert pipe.read_style(works[0]).means[0] is not None and len(pipe._shown) == 1
    works[0].write_bytes(works[1].read_bytes())
    other = pipe.read_style(works[0])
    assert not torch.equal(first.means[0], other.means[0])


def test_what_does_not_fit_is_refused_before_work(
    pipe: StyleSRPipeline, photo: Picture, works: list[Path], tmp_path: Path
) -> None:
    Image.new("RGB", (200, 40)).save(tmp_path / "strip.png")
    refused: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"style": "any-style"}, InputError, "'any-style' paints like a picture that it is shown"),
        ({"style": {"any-style": 1, "dots": 1}}, InputError, "paints like a picture"),
        ({"style_image": works[0], "style": "dots"}, InputError, "one of any-style, got 'dots'"),
        ({"style_image": []}, InputError, "there is no style image"),
        ({"style_weights": [1]}, InputError, "there is no style image"),
        ({"style_image": works, "style_weights": [1]}, InputError, "1 style_weights for 2"),
        ({"style_image": works, "style_weights": [1, -1]}, InputError, "at least 0, got -1"),
        ({"style_image": works, "style_weights": [0, 0]}, InputError, "at least one weight above"),
        ({"style_image": tmp_path / "strip.png"}, InputError, "64 pixels, got 200×40"),
        ({"style_image": tmp_path / "none.png"}, ImageError, "none.png"),
        ({"style_image": works[0], "strength": 2}, InputError, "strength must be"),
    ]
    for options, error, message in refused:
        with pytest.raises(error, match=message):
            pipe.stream(photo, **options)
    read = pipe.read_style(works[0])
    with pytest.raises(InputError, match="are read already"):
        pipe.stream(photo, style_image=read, style_weights=[1])
    alone = StyleSRPipeline(tiny.photo())
    with pytest.raises(InputError, match="of which none is loaded; train/any_style"):
        alone.stream(photo, style_image=works[0])


# -- on disk --------------------------------------------------------------------------------------


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Bundled models: a base, a style, and a painter of which that is the base."""
    folder, base = tmp_path / "hub_cards", tiny.photo()
    base.save_pretrained(folder / "photo")
    tiny.style(base, 1).save_pretrained(folder / "dots")
    painter().save_pretrained(folder / "any-style")
    monkeypatch.setattr(hub, "bundled_folder", lambda: folder)
    return folder


def test_a_painter_loads_with_the_base_it_names(models: Path, tmp_path: Path) -> None:
    pipe = StyleSRPipeline.from_pretrained("any-style")
    assert (pipe.base_name, pipe.styles, pipe.any_style) == ("photo", [], ["any-style"])
    pipe = StyleSRPipeline.from_pretrained(["any-style", "dots"])
    assert (pipe.base_name, pipe.styles, pipe.any_style) == ("photo", ["dots"], ["any-style"])
    pipe.save_pretrained(tmp_path / "saved")
    again = StyleSRPipeline.from_pretrained(tmp_path / "saved")
    assert (again.styles, again.any_style) == (["dots"], ["any-style"])
    assert again.fingerprints == pipe.fingerprints
    painter().save_pretrained(tmp_path / "other")
    (models / "photo" / "config.json").unlink()
    with pytest.raises(ModelError, match="the base of 'other', 'photo', was not found"):
        StyleSRPipeline.from_pretrained(tmp_path / "other")


def test_the_page_asks_for_a_picture_where_one_is_needed(
    models: Path, works: list[Path], photo: Picture, tmp_path: Path
) -> None:
    studio = Studio()
    assert (studio.styles, studio.enlargers, studio.any_style) == (["dots"], [], ["any-style"])
    to_pil(photo).save(tmp_path / "cat.png")
    with pytest.raises(InputError, match="'any-style' needs a picture to paint like"):
        drain(studio.paint(tmp_path / "cat.png", tmp_path, Choices("any-style", scale=2)))
    choices = Choices("any-style", scale=2, style_image=str(works[0]))
    painting = drain(studio.paint(tmp_path / "cat.png", tmp_path, choices))
    expected = StyleSRPipeline.from_pretrained("any-style")(
        tmp_path / "cat.png", scale=2, style_image=works[0]
    )
    with Image.open(painting.file) as image:
        assert np.array_equal(np.asarray(image), np.asarray(expected.images[0]))


# -- the command line, folders --------------------------------------------------------------------


def test_the_command_paints_like_pictures(
    models: Path, works: list[Path], photo: Picture, tmp_path: Path
) -> None:
    cat, out = tmp_path / "cat.png", tmp_path / "out.png"
    to_pil(photo).save(cat)
    words = ["enhance", cat, out, "--scale", "2", "--style-image", *works]
    assert cli.main([*map(str, words), "--style-weights", "3", "1"]) == 0
    pipe = StyleSRPipeline.from_pretrained("any-style")
    expected = pipe(cat, scale=2, style_image=works, style_weights=[3, 1]).images[0]
    with Image.open(out) as image:
        assert image.tobytes() == expected.tobytes()


def test_the_command_refuses_a_style_that_is_no_painter(
    models: Path, works: list[Path], photo: Picture, tmp_path: Path, capsys: Any
) -> None:
    to_pil(photo).save(tmp_path / "cat.png")
    words = ["enhance", tmp_path / "cat.png", tmp_path / "out.png", "--style", "dots"]
    assert cli.main([*map(str, words), "--style-image", str(works[0])]) == 2
    assert "style_image is for a network that takes any picture" in capsys.readouterr().err
    shutil.rmtree(models / "any-style")
    words = ["enhance", tmp_path / "cat.png", tmp_path / "out.png", "--style-image", works[0]]
    assert cli.main([*map(str, words)]) == 2
    assert "none comes with the package; train/any_style.py" in capsys.readouterr().err


def test_a_folder_is_made_anew_when_the_style_image_changes(
    models: Path, works: list[Path], photos: Path, tmp_path: Path, capsys: Any
) -> None:
    words = ["enhance", str(photos), str(tmp_path / "out"), "--scale", "1", "--json"]
    words += ["--style-image", str(works[0])]
    statuses = []
    for change in (False, False, True):
        if change:
            works[0].write_bytes(works[1].read_bytes())
        assert cli.main(words) == 0
        lines = capsys.readouterr().out.splitlines()
        statuses.append({json.loads(line)["status"] for line in lines})
    assert statuses == [{"made"}, {"kept"}, {"made"}]
    missing = jobs.Job({"any-style": 1.0}, {"style_image": [str(tmp_path / "none.png")]})
    items = jobs.find(photos, tmp_path / "other")
    with pytest.raises(ImageError, match=r"none\.png"):
        list(jobs.run(items, tmp_path / "other", missing))


def test_a_film_is_painted_like_a_picture(
    models: Path, works: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stylesr import video
    from tests.test_video import clip

    pipe = StyleSRPipeline.from_pretrained("any-style")
    source, target = clip(tmp_path / "a.mp4", sound=False), tmp_path / "b.mkv"
    read: list[int] = []
    decoded = pipeline.decode
    monkeypatch.setattr(
        pipeline, "decode", lambda image, **more: read.append(1) or decoded(image, **more)
    )
    done = list(video.enhance(pipe, source, target, codec="ffv1", scale=1, style_image=works))
    assert done[-1].done == 20 and len(read) == 2, "each style image is read once"
    with Image.open(works[0]) as image, pytest.raises(InputError, match="files, got <PIL"):
        list(video.enhance(pipe, source, target, scale=1, style_image=image))
    with pytest.raises(ImageError, match=r"none\.png"):
        video.enhance(pipe, source, target, scale=1, style_image=tmp_path / "none.png")


# -- measuring, the card --------------------------------------------------------------------------

RELEASES = """
[held_out]
name = "holiday photos"
url = "https://example.org/photos"
licence = "CC0-1.0"

[data.mine]
name = "my photos"
url = "https://example.org/mine"
licence = "CC BY 4.0"

[models.any-style]
description = "Paints like any picture."
data = ["mine"]
preview = ["one", "two"]
unseen = ["waves.png", "sand.png"]
"""


class MeanColour:
    """A judge whose figures can be computed by hand."""

    name = "mean colour"

    def look(self, picture: Tensor) -> Tensor:
        assert picture.ndim == 3 and torch.allclose(picture * 255, (picture * 255).round())
        return picture.mean((1, 2))

    def style(self, seen: Tensor, work: Tensor) -> float:
        return float((seen - work).abs().sum())

    def content(self, seen: Tensor, photo: Tensor) -> float:
        return 10 * float((seen - photo).abs().sum())


def test_figures_are_means_over_works_and_photos(
    pipe: StyleSRPipeline, works: list[Path], photos: Path
) -> None:
    pictures = [decode(work).pixels for work in works]
    paths = [photos / "one.png", photos / "two.png"]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        peer = MicroAST(2).eval()
    judges = [MeanColour()]
    rows = likeness.any_style_rows(pipe, pictures, paths, judges, "holiday photos", peer)
    assert [row["strength"] for row in rows] == [0.5, 1.0]
    for row in rows:
        sums = dict.fromkeys(("far", "left", "kept", "peer_far", "peer_kept"), 0.0)
        for path in paths:
            hr = hr_picture(path)
            for work, pixels in zip(works, pictures, strict=True):
                options = {"style_image": work, "scale": 1, "strength": row["strength"]}
                with torch.inference_mode():
                    results = paint(pipe, hr, **options), peer(hr.pixels[None], pixels[None])[0]
                ours, theirs = (
                    (x.clamp(0, 1) * 255).round().div(255).mean((1, 2)) for x in results
                )
                goal, photo = pixels.mean((1, 2)), hr.pixels.mean((1, 2))
                sums["far"] += float((ours - goal).abs().sum()) / 4
                sums["left"] += float((photo - goal).abs().sum()) / 4
                sums["kept"] += 10 * float((ours - photo).abs().sum()) / 4
                sums["peer_far"] += float((theirs - goal).abs().sum()) / 4
                sums["peer_kept"] += 10 * float((theirs - photo).abs().sum()) / 4
        assert row["style_distance"] == pytest.approx(sums["far"], abs=1e-3)
        assert row["photo_style_distance"] == pytest.approx(sums["left"], abs=1e-3)
        assert row["content_distance"] == pytest.approx(sums["kept"], abs=1e-2)
        assert row["peer_style_distance"] == pytest.approx(sums["peer_far"], abs=1e-3)
        assert row["peer_content_distance"] == pytest.approx(sums["peer_kept"], abs=1e-2)
        assert row["style_ratio"] == pytest.approx(sums["far"] / sums["left"], abs=5e-3)
        assert (row["pictures"], row["works"], row["peer"]) == (2, 2, "MicroAST")


def test_measuring_writes_figures_a_preview_and_a_card(
    models: Path, works: list[Path], photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "releases.toml").write_text(RELEASES)
    save_file(tiny_features.weights(), str(tmp_path / "vgg.safetensors"))
    template = Path(__file__).parents[1] / "hub_cards" / "template-any-style.md"
    shutil.copy(template, models)
    words = ["evaluate", "any-style", "--photos", photos, "--paintings", tmp_path, "--write"]
    words += ["--vgg", tmp_path / "vgg.safetensors", "--releases", tmp_path / "releases.toml"]
    assert cli.main([*map(str, words)]) == 0
    report = evaluation.read(models / "any-style")
    assert report is not None and report.weights_sha256 == painter().fingerprint()
    assert [row["strength"] for row in report.rows("any style")] == [1.0, 0.5]
    with Image.open(models / "any-style" / "preview.webp") as preview:
        assert preview.width == 3 * 298 + 2 * 4
    card = (models / "any-style" / "README.md").read_text(encoding="utf-8")
    assert 'pipe("photo.jpg", style_image="painting.jpg"' in card
    assert "2 photos of the holiday photos, 2 works." in card
    assert "\n\n\n" not in card.partition("# any-style")[2]


def test_words_for_what_takes_any_style(
    models: Path, photos: Path, works: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / "releases.toml"
    path.write_text(RELEASES.replace('unseen = ["waves.png", "sand.png"]', ""))
    save_file(tiny_features.weights(), str(tmp_path / "vgg.safetensors"))
    given = evaluation.Inputs(photos=photos, paintings=tmp_path, vgg=tmp_path / "vgg.safetensors")
    with pytest.raises(InputError, match=r"\[models.any-style\] needs unseen works"):
        evaluation.measure("any-style", given, releases.load(path))
    net = painter()
    report = evaluation.Report(net.fingerprint(), 1, {}, [])
    evaluation.write(models / "any-style", report)
    with pytest.raises(InputError, match="takes any style, so it has no work, but unseen ones"):
        cards.render(models / "any-style", releases.load(path))


def test_a_peer_of_another_kind_is_refused(
    models: Path, photos: Path, works: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / "releases.toml"
    path.write_text(RELEASES)
    save_file(tiny_features.weights(), str(tmp_path / "vgg.safetensors"))
    small = CompactNet(channels=4, convolutions=1)
    torch.save({"params": small.state_dict()}, tmp_path / "small.pth")
    given = evaluation.Inputs(
        photos=photos,
        paintings=tmp_path,
        vgg=tmp_path / "vgg.safetensors",
        peer=tmp_path / "small.pth",
    )
    with pytest.raises(InputError, match="is a CompactNet; the peer is a MicroAST"):
        evaluation.measure("any-style", given, releases.load(path))


def test_the_list_of_models_says_what_a_painter_is(models: Path, capsys: Any) -> None:
    assert cli.main(["models", "--json"]) == 0
    kinds = {row["name"]: row["kind"] for row in json.loads(capsys.readouterr().out)}
    assert kinds == {"photo": "photo", "dots": "style", "any-style": "any style"}


def test_a_generator_of_the_package_loads_it_by_its_class(models: Path) -> None:
    assert isinstance(Generator.from_pretrained("any-style"), AdaINNet)
    with pytest.raises(ModelError, match="not a StyleSRNet"):
        StyleSRNet.from_pretrained("any-style")


def test_it_can_be_published(models: Path, works: list[Path], photos: Path, tmp_path: Path) -> None:
    test_measuring_writes_figures_a_preview_and_a_card(models, works, photos, tmp_path)
    assert list(failings(models / "any-style", "you/any-style", Generator.from_pretrained)) == []
    edited = json.loads((models / "any-style" / "config.json").read_text())
    (models / "any-style" / "config.json").write_text(json.dumps({**edited, "base": "nowhere"}))
    said = list(failings(models / "any-style", "you/any-style", Generator.from_pretrained))
    assert len(said) == 1 and "'nowhere' is neither released nor on the Hub" in said[0]
