import torch

from stylesr.models import ResnetGenerator
from tests.models.contract import InstanceNormalisedContract, picture, randomised

TINY = {"channels": 4, "blocks": 1}


class TestResnetGenerator(InstanceNormalisedContract):
    model_class = ResnetGenerator
    tiny = TINY
    refused = [
        ("channels", 3),
        ("channels", 129),
        ("channels", 32.0),
        ("blocks", 0),
        ("blocks", 17),
    ]


def test_the_default_network_has_the_published_size() -> None:
    assert sum(p.numel() for p in ResnetGenerator().parameters()) == 11_378_179


def test_a_result_is_a_picture() -> None:
    model = randomised(ResnetGenerator(**TINY))
    y = model(20 * picture(model, 1, size=(24, 32)) - 10)
    assert y.min() >= 0 and y.max() <= 1
    assert not torch.equal(y[..., :12, :], y[..., 12:, :])
