from pathlib import Path
from typing import Any

import pytest
import torch

from stylesr.errors import InputError, ModelError
from stylesr.models import DCGAN, Generator
from stylesr.models.discriminators import NoiseDiscriminator
from stylesr.pipeline import StyleSRPipeline
from tests import tiny

TINY = {"noise": 5, "channels": 4, "size": 16}


@pytest.fixture
def net() -> DCGAN:
    torch.manual_seed(0)
    net = DCGAN(**TINY).eval()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    return net


@pytest.mark.parametrize("size", [16, 32, 64, 128])
def test_pictures_have_their_size(size: int) -> None:
    net = DCGAN(noise=3, channels=4, size=size)
    pictures = net(torch.randn(2, 3))
    assert pictures.shape == (2, 3, size, size)
    assert pictures.min() >= 0 and pictures.max() <= 1
    assert NoiseDiscriminator(4, size)(pictures).shape == (2, 1)


def test_it_has_the_published_shape() -> None:
    """From 1024 maps of 4×4 to 128 of 32×32 and three of 64×64."""
    net = DCGAN(channels=128)
    shapes = [tuple(layer.weight.shape[:2]) for layer in net.layers if hasattr(layer, "stride")]
    assert shapes == [(100, 1024), (1024, 512), (512, 256), (256, 128), (128, 3)]


def test_a_picture_depends_on_its_noise_alone(net: DCGAN) -> None:
    with torch.inference_mode():
        many = net.draw(4, seed=1)
        assert torch.equal(many, net.draw(4, seed=1))
        assert not torch.allclose(many, net.draw(4, seed=2), atol=1e-3)
        noise = torch.randn(4, 5)
        torch.testing.assert_close(net(noise)[:2], net(noise[:2]))
        assert not torch.allclose(many[0], many[1], atol=1e-3)


def test_it_is_saved_and_loads_equal_with_what_it_remembers(net: DCGAN, tmp_path: Path) -> None:
    net.train()(torch.randn(8, 5))
    net.eval().save_pretrained(tmp_path)
    again = Generator.from_pretrained(tmp_path)
    assert isinstance(again, DCGAN) and again.config == TINY
    assert torch.equal(again.draw(3), net.draw(3))


@pytest.mark.parametrize(
    ("name", "value"),
    [("noise", 0), ("noise", 2000), ("channels", 3), ("size", 48), ("size", True), ("size", "64")],
)
def test_a_config_value_out_of_bounds_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"{name}.*, got "):
        DCGAN(**{**TINY, name: value})


@pytest.mark.parametrize("shape", [(5,), (1, 4), (1, 3, 16, 16)])
def test_what_is_no_noise_is_refused(net: DCGAN, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"\(N, 5\)"):
        net(torch.zeros(shape))


def test_it_is_no_part_of_a_pipeline(net: DCGAN) -> None:
    with pytest.raises(ModelError, match="is a DCGAN"):
        StyleSRPipeline(tiny.photo(), enlargers={"dcgan": net})
