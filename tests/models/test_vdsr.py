import pytest
import torch

from stylesr.errors import InputError
from stylesr.models import VDSR
from stylesr.resample import resize
from tests.models.contract import GeneratorContract


class TestVDSR(GeneratorContract):
    model_class = VDSR
    tiny = {"channels": 4, "layers": 3, "scales": [2, 4]}
    refused = [
        ("channels", 3),
        ("channels", 257),
        ("layers", 1),
        ("layers", "20"),
        ("scales", []),
        ("scales", 4),
        ("scales", [2, 2]),
        ("scales", [1, 2]),
        ("scales", [4.0]),
    ]


def test_the_default_network_has_the_published_size() -> None:
    """665 K parameters of luma alone: one channel comes in and goes out."""
    first, *middle, last = (p.numel() for p in VDSR().parameters() if p.ndim == 4)
    assert round((first // 3 + sum(middle) + last // 3) / 1000) == 665


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_it_starts_as_bicubic_interpolation(scale: int) -> None:
    x = torch.rand(2, 3, 6, 7)
    assert torch.equal(VDSR(4, 3)(x, scale), resize(x, (6 * scale, 7 * scale)))


def test_without_a_factor_it_takes_its_largest() -> None:
    assert VDSR(4, 3, scales=(3, 2))(torch.zeros(1, 3, 5, 6)).shape == (1, 3, 15, 18)
    with pytest.raises(InputError, match="enlarges by 2, 3, not by 4"):
        VDSR(4, 3, scales=(3, 2))(torch.zeros(1, 3, 5, 6), 4)
