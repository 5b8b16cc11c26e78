import torch

from stylesr.models import CompactNet
from tests.models.contract import GeneratorContract


class TestCompactNet(GeneratorContract):
    model_class = CompactNet
    tiny = {"channels": 4, "convolutions": 2}
    refused = [
        ("channels", 3),
        ("channels", 257),
        ("channels", "64"),
        ("convolutions", 0),
        ("convolutions", 65),
        ("scale", 0),
        ("scale", 9),
        ("scale", 4.0),
    ]


class TestTwice(GeneratorContract):
    model_class = CompactNet
    tiny = {"channels": 4, "convolutions": 1, "scale": 2}
    refused = [("scale", True)]


def test_without_a_factor_it_takes_its_own() -> None:
    assert CompactNet(channels=4, convolutions=1, scale=3)(torch.zeros(1, 3, 5, 6)).shape == (
        *(1, 3),
        *(15, 18),
    )
