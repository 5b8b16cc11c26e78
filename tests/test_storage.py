"""float16 on disk: only where no picture changes, and float32 in memory."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from stylesr import storage
from stylesr.blending import strength
from stylesr.errors import InputError, ModelError
from stylesr.fidelity import hr_picture, low_resolution
from stylesr.metrics import psnr_y
from stylesr.models import SRCNN, AdaINNet, Generator, StyleSRNet, TransformerNet
from stylesr.picture import to_pil
from stylesr.pipeline import StyleSRPipeline
from stylesr.storage import Change
from tests import tiny
from tests.models.contract import randomised

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def dots(tmp_path: Path) -> Path:
    photo = tiny.photo()
    photo.save_pretrained(tmp_path / "photo")
    tiny.style(photo, 3, name=str(tmp_path / "photo")).save_pretrained(tmp_path / "dots")
    return tmp_path / "dots"


def test_weights_are_halved_on_disk_and_float32_in_memory(dots: Path, photos: Path) -> None:
    before = StyleSRNet.from_pretrained(dots)
    size = (dots / "model.safetensors").stat().st_size
    changes = storage.store_halved(dots, photos)
    assert [change.scale for change in changes] == [1, 2, 4]
    assert all(change.is_harmless for change in changes)
    assert (dots / "model.safetensors").stat().st_size < 0.65 * size
    state = load_file(dots / "model.safetensors")
    after = StyleSRNet.from_pretrained(dots)
    for name, tensor in after.state_dict().items():
        assert state[name].dtype == torch.float16 and tensor.dtype == torch.float32
        assert torch.equal(tensor, before.state_dict()[name].half().float())
    assert not list(dots.glob("*.part"))


def test_strength_0_stays_the_base(dots: Path, photos: Path) -> None:
    storage.store_halved(dots, photos)
    photo, style = (StyleSRNet.from_pretrained(dots.parent / n) for n in ("photo", "dots"))
    assert strength(photo, style, 0).fingerprint() == photo.fingerprint()
    pipe = StyleSRPipeline.from_pretrained(dots)  # which checks the tie to the base
    assert pipe.styles == ["dots"]


def test_a_second_time_changes_nothing(dots: Path, photos: Path) -> None:
    storage.store_halved(dots, photos)
    content = (dots / "model.safetensors").read_bytes()
    assert storage.store_halved(dots, photos) == [Change(scale, 0.0, 0.0) for scale in (1, 2, 4)]
    assert (dots / "model.safetensors").read_bytes() == content


def test_the_change_is_that_of_the_pipelines_results(dots: Path, photos: Path) -> None:
    net, base = (StyleSRNet.from_pretrained(dots.parent / n) for n in ("dots", "photo"))
    paths = [photos / "one.png", photos / "two.png"]
    (change,) = (c for c in storage.halved_change(base, net, paths) if c.scale == 2)
    rounded = StyleSRNet.from_pretrained(dots)
    rounded.load_state_dict({k: v.half() for k, v in net.state_dict().items()})
    pipe = StyleSRPipeline(base, {"exact": net, "rounded": rounded})
    pipe.set_progress_bar_config(disable=True)
    most, psnr = 0.0, 0.0
    for path in paths:
        hr = hr_picture(path)
        lr = to_pil(low_resolution(hr, 2))
        one, two = (
            pipe(lr, style=name, scale=2, brush=1, output_type="pt").images[0]
            for name in ("rounded", "exact")
        )
        most = max(most, float((one - two).abs().max()))
        psnr += (psnr_y(one, hr.pixels, 2) - psnr_y(two, hr.pixels, 2)) / 2
    assert change.difference == pytest.approx(most, abs=1e-6) and most > 0
    assert change.psnr == pytest.approx(abs(psnr), abs=1e-6)


@pytest.mark.parametrize(
    ("psnr", "difference", "harmless"),
    [
        (0.0099, 0.99 / 255, True),
        (0.01, 0.0, False),
        (0.0, 1 / 255, False),
        (float("inf"), 0, False),
    ],
)
def test_what_is_harmless(psnr: float, difference: float, harmless: bool) -> None:
    assert Change(4, psnr, difference).is_harmless == harmless


def test_a_style_that_would_change_stays_as_it_is(dots: Path, photos: Path) -> None:
    net = StyleSRNet.from_pretrained(dots)
    with torch.no_grad():  # large parts, of which rounding loses much
        for parameter in (net.last.weight, net.last.bias):
            parameter.mul_(300)
        net.skip_gain.fill_(60)
    net.save_pretrained(dots)
    content = (dots / "model.safetensors").read_bytes()
    with pytest.raises(InputError, match=r"would change dots \(×1 .* levels; ×2 .*stays as it is"):
        storage.store_halved(dots, photos)
    assert (dots / "model.safetensors").read_bytes() == content


def test_a_weight_beyond_float16_is_refused(dots: Path, photos: Path) -> None:
    net = StyleSRNet.from_pretrained(dots)
    torch.nn.init.constant_(net.skip_gain, 70000.0)
    net.save_pretrained(dots)
    with pytest.raises(ModelError, match="skip_gain has values that float16 cannot hold"):
        storage.store_halved(dots, photos)


def test_a_base_is_refused(dots: Path, photos: Path) -> None:
    before = StyleSRNet.from_pretrained(dots.parent / "photo").fingerprint()
    with pytest.raises(InputError, match="photo is a base: rounding it would cut off the styles"):
        storage.store_halved(dots.parent / "photo", photos)
    assert StyleSRNet.from_pretrained(dots.parent / "photo").fingerprint() == before


def test_a_network_that_keeps_the_size_is_halved_too(tmp_path: Path, photos: Path) -> None:
    net = randomised(TransformerNet(channels=4, blocks=1))
    net.save_pretrained(tmp_path / "udnie")
    (change,) = storage.store_halved(tmp_path / "udnie", photos)
    assert change.is_harmless and change.difference > 0
    state = load_file(tmp_path / "udnie" / "model.safetensors")
    assert all(tensor.dtype == torch.float16 for tensor in state.values())


@pytest.mark.parametrize(
    ("net", "message"),
    [(SRCNN(channels=4), "only enlarges"), (AdaINNet(), "paints like any picture")],
    ids=["srcnn", "any style"],
)
def test_others_are_refused(tmp_path: Path, photos: Path, net: Generator, message: str) -> None:
    net.save_pretrained(tmp_path / "other")
    with pytest.raises(InputError, match=f"other {message}"):
        storage.store_halved(tmp_path / "other", photos)


def test_photos_are_needed() -> None:
    photo = tiny.photo()
    with pytest.raises(InputError, match="judged on photos, none given"):
        storage.halved_change(photo, tiny.style(photo, 1), [])
