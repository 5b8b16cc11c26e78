"""Gatys and Deep Image Prior, on small pictures and a small perceptual network."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from stylesr import cli
from stylesr.errors import InputError
from stylesr.losses.perceptual import (
    DistilledVGG19,
    content_loss,
    mean_grams,
    mean_moments,
    moment_loss,
    moments,
    relative_gram_loss,
)
from stylesr.metrics import psnr_y
from stylesr.per_image import CONTENT_LAYERS, STYLE_LAYERS, gatys, prior
from stylesr.picture import Picture, to_pil
from stylesr.resample import downscale, resize
from tests import tiny_features

Scene = Callable[[int, int], Tensor]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def network() -> DistilledVGG19:
    return DistilledVGG19(tiny_features.weights())


@pytest.fixture
def photo(scene: Scene) -> Tensor:
    return scene(48, 56)[None]


@pytest.fixture
def work(noise: Callable[..., Tensor]) -> Tensor:
    """Coarse coloured noise."""
    return (
        resize(noise(1, 3, 14, 13), (56, 52)).clamp(0, 1)
        * torch.tensor([1, 0.6, 0.2])[:, None, None]
    )


# -- Gatys ----------------------------------------------------------------------------------------


def distances(
    network: DistilledVGG19, x: Tensor, photo: Tensor, works: list[Tensor]
) -> tuple[float, float]:
    """From the photo's content and from the style."""
    seen, grams = network(x), mean_grams(network, works)
    content = content_loss(seen, network(photo), CONTENT_LAYERS)
    return float(content), float(relative_gram_loss(network.grams(seen), grams, STYLE_LAYERS))


def test_gatys_comes_near_the_style_and_keeps_the_content(
    network: DistilledVGG19, photo: Tensor, work: Tensor
) -> None:
    told: list[tuple[int, int]] = []
    painted = gatys(photo, [work], network, steps=20, tv=0, report=lambda *now: told.append(now))
    assert painted.shape == photo.shape
    assert painted.min() >= 0 and painted.max() <= 1
    before = distances(network, photo, photo, [work])
    content, style = distances(network, painted, photo, [work])
    assert style < 0.1 * before[1]
    assert (
        content
        < distances(network, work[..., :48, :].new_tensor(0.5).expand_as(photo), photo, [work])[0]
    )
    assert told == [(1, 2), (2, 2)], "one size: a half would be too small for the network"


def test_gatys_repeats_and_starts_where_it_is_told(
    network: DistilledVGG19, photo: Tensor, work: Tensor
) -> None:
    def run(**options: Any) -> Tensor:
        return gatys(photo, [work], network, steps=10, **options)

    from_noise = run(start="noise", seed=1)
    assert torch.equal(from_noise, run(start="noise", seed=1))
    assert not torch.equal(from_noise, run(start="noise", seed=2))
    assert not torch.equal(from_noise, run())


def test_gatys_without_style_or_steps_to_speak_of_leaves_the_photo(
    network: DistilledVGG19, photo: Tensor, work: Tensor
) -> None:
    torch.testing.assert_close(gatys(photo, [work], network, steps=10, style=0, tv=0), photo)


@pytest.mark.parametrize("statistics", ["moments", "normalised"])
def test_gatys_by_means_and_deviations(
    network: DistilledVGG19, photo: Tensor, work: Tensor, statistics: Any
) -> None:
    painted = gatys(photo, [work], network, steps=20, tv=0, statistics=statistics)
    goal = mean_moments(network, [work])
    normalised = statistics == "normalised"
    before, after = (
        float(moment_loss(moments(network(x)), goal, STYLE_LAYERS, normalised=normalised))
        for x in (photo, painted)
    )
    assert after < 0.2 * before
    assert not torch.equal(painted, gatys(photo, [work], network, steps=20, tv=0))
    with pytest.raises(InputError, match="gram, moments or normalised, got 'means'"):
        gatys(photo, [work], network, statistics=cast(Any, "means"))


def test_gatys_takes_the_mean_of_several_works(
    network: DistilledVGG19, photo: Tensor, work: Tensor
) -> None:
    other = 1 - work
    both = gatys(photo, [work, other], network, steps=30, tv=0)
    alone = gatys(photo, [work], network, steps=30, tv=0)
    target = [work, other]
    assert distances(network, both, photo, target)[1] < distances(network, alone, photo, target)[1]


def test_gatys_paints_small_first(network: DistilledVGG19, scene: Scene, work: Tensor) -> None:
    told: list[tuple[int, int]] = []
    photo = scene(100, 120)[None]
    gatys(photo, [work], network, steps=10, report=lambda *now: told.append(now))
    assert told == [(1, 2), (2, 2)], "at 50×60 and at 100×120"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"photo": torch.zeros(1, 3, 47, 90)}, r"48×48.*\(1, 3, 47, 90\)"),
        ({"photo": torch.zeros(3, 64, 64)}, r"\(3, 64, 64\)"),
        ({"works": [torch.zeros(1, 1, 64, 64)]}, r"\(1, 1, 64, 64\)"),
        ({"works": []}, "at least one work"),
        ({"start": "work"}, "photo or noise, got 'work'"),
        ({"steps": 0}, "steps 0"),
        ({"sizes": 0}, "sizes 0"),
        ({"style": -1.0}, r"style -1\.0"),
    ],
)
def test_gatys_refuses(network: DistilledVGG19, change: dict[str, Any], message: str) -> None:
    picture = torch.zeros(1, 3, 64, 64)
    options: dict[str, Any] = {"photo": picture, "works": [picture], "network": network, **change}
    with pytest.raises(InputError, match=message):
        gatys(**options)


# -- Deep Image Prior -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def disc() -> Tensor:
    """A picture whose edges bicubic enlargement blurs, (1, 3, 64, 64)."""
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    inside = ((rows - 30) ** 2 + (columns - 34) ** 2 < 400).float()
    return torch.stack([0.2 + 0.6 * inside, 0.7 - 0.4 * inside, rows / 80])[None]


def test_prior_enlarges_better_than_bicubic_without_seeing_the_original(disc: Tensor) -> None:
    lr = downscale(disc, 4).clamp(0, 1)
    fit = prior(lr, scale=4, channels=8, steps=500)
    assert fit.pixels.shape == disc.shape
    assert psnr_y(fit.pixels, disc, 4) > psnr_y(resize(lr, (64, 64)), disc, 4) + 0.5


def test_prior_denoises_and_stops_before_it_fits_the_noise(disc: Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    noisy = (disc + 0.15 * torch.randn(disc.shape, generator=generator)).clamp(0, 1)
    told: list[int] = []
    fit = prior(
        noisy, channels=8, steps=2000, patience=80, report=lambda done, _: told.append(done)
    )
    assert psnr_y(fit.pixels, disc) > psnr_y(noisy, disc) + 5
    assert told == list(range(1, fit.steps + 81)), "it stops by itself, a patience after the best"
    assert fit.psnr == pytest.approx(10 * np.log10(1 / 0.15**2), abs=2), "the noise's own"


def test_prior_completes(disc: Tensor) -> None:
    known = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)) < 0.5
    known[..., 20:26, :] = False
    spoilt = torch.where(known, disc, torch.ones_like(disc))
    fit = prior(spoilt, known=known, channels=8, steps=200)
    missing = (~known).expand_as(disc)
    flat = disc.mean((2, 3), keepdim=True).expand_as(disc)
    error = (fit.pixels - disc)[missing].square().mean()
    assert error < 0.1 * (flat - disc)[missing].square().mean()


def test_prior_holds_some_pixels_out_of_the_fewest() -> None:
    picture = torch.full((1, 3, 16, 16), 0.3)
    known = torch.zeros(1, 1, 16, 16)
    known[..., 4, :13] = 1
    fit = prior(picture, known=known, channels=4, steps=20)
    assert fit.steps in (10, 20) and 0 < fit.psnr < 100


def test_prior_repeats_by_its_seed(disc: Tensor) -> None:
    def run(seed: int) -> Tensor:
        torch.manual_seed(7)  # what others draw has no influence, nor has it on them
        state = torch.get_rng_state()
        fit = prior(disc[..., :32, :48], channels=4, steps=20, seed=seed)
        assert torch.equal(state, torch.get_rng_state())
        return fit.pixels

    first = run(0)
    assert first.shape == (1, 3, 32, 48)
    assert torch.equal(first, run(0))
    assert not torch.equal(first, run(1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"picture": torch.zeros(1, 3, 15, 20)}, r"16×16.*\(1, 3, 15, 20\)"),
        ({"scale": 9}, "scale .* from 1 to 8, got 9"),
        ({"scale": 2.0}, r"got 2\.0"),
        ({"steps": 5}, "got 5"),
        ({"channels": 300}, "got 300"),
        ({"known": torch.ones(1, 1, 20, 21)}, r"mask is of \(1, 1, 20, 21\)"),
        ({"known": torch.zeros(1, 1, 20, 20)}, "less than a twentieth"),
    ],
)
def test_prior_refuses(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        prior(**{"picture": torch.zeros(1, 3, 20, 20), **change})


# -- the commands ---------------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path: Path, scene: Scene, work: Tensor) -> Path:
    to_pil(Picture(scene(60, 70))).save(tmp_path / "photo.png")
    to_pil(Picture(work[0])).save(tmp_path / "work.png")
    save_file(tiny_features.weights(), str(tmp_path / "vgg.safetensors"))
    return tmp_path


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


def run(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def test_the_gatys_command_paints(pictures: Path) -> None:
    out = pictures / "painted.png"
    options = ["--perceptual", pictures / "vgg.safetensors", "--side", 56, "--steps", 10]
    arguments = [pictures / "photo.png", out, "--works", pictures / "work.png", *options]
    assert run("gatys", *arguments) == 0
    painted = opened(out)
    assert painted.size == (56, 48)
    assert len(np.unique(np.asarray(painted))) > 20


def test_the_prior_command_enlarges_and_completes(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, out = pictures / "photo.png", pictures / "large.png"
    few = ["--steps", 10, "--patience", 10, "--channels", 4]
    assert run("prior", photo, out, "--scale", 2, *few) == 0
    assert opened(out).size == (140, 120)
    assert re.fullmatch(r"taken at step 10: -?\d+\.\d\d dB on .*\n", capsys.readouterr().out)
    gray = opened(photo).convert("L")
    gray.save(pictures / "gray.png")
    Image.new("L", gray.size, 0).save(pictures / "mask.png")
    assert run("prior", pictures / "gray.png", out, "--mask", pictures / "mask.png", *few) == 0
    assert opened(out).mode == "L"


def test_the_commands_refuse_in_one_line(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = pictures / "photo.png"
    Image.new("L", (9, 9)).save(pictures / "mask.png")
    for arguments, message in [
        (("prior", photo, photo), "is the input"),
        (("prior", photo, pictures / "x.png", "--mask", pictures / "mask.png"), "the mask is of"),
        (("prior", photo, pictures / "x.xyz"), "known picture extension"),
        (("gatys", photo, pictures / "none" / "x.png", "--works", photo), "no folder"),
        (("gatys", photo, pictures / "x.png", "--works", photo, "--side", 0), "--side is at least"),
    ]:
        assert run(*arguments) == 2
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1
    assert not (pictures / "x.png").exists()


@pytest.mark.parametrize(("command", "function"), [("gatys", gatys), ("prior", prior)])
def test_help_states_the_functions_defaults(
    command: str, function: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        run(command, "--help")
    said = " ".join(capsys.readouterr().out.partition("options:")[2].split())
    for name, parameter in inspect.signature(function).parameters.items():
        if name in ("known", "report") or parameter.default is inspect.Parameter.empty:
            continue
        stated = re.search(rf"--{name} .*?\((?:default: )?([\w.]+)\)", said)
        assert stated is not None, name
        assert (
            stated[1] == f"{parameter.default:g}"
            if isinstance(parameter.default, float)
            else (stated[1] == str(parameter.default))
        )
