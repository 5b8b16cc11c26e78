import torch

from stylesr.models import RRDBNet
from tests.models.contract import GeneratorContract

TINY = {"channels": 4, "blocks": 1, "growth": 2}


class TestRRDBNet(GeneratorContract):
    model_class = RRDBNet
    tiny = TINY
    refused = [
        ("channels", 3),
        ("blocks", 0),
        ("blocks", "23"),
        ("growth", 1),
        ("growth", 129),
        ("scale", 0),
        ("scale", 3),
        ("scale", 4.0),
    ]


class TestTwice(GeneratorContract):
    model_class = RRDBNet
    tiny = {**TINY, "scale": 2}
    refused = [("scale", True)]


def test_the_default_network_has_the_published_size() -> None:
    """16.7 M parameters."""
    with torch.device("meta"):
        net = RRDBNet()
    assert round(sum(p.numel() for p in net.parameters()) / 1e6, 1) == 16.7


def test_at_one_it_keeps_the_size() -> None:
    assert RRDBNet(**TINY, scale=1)(torch.rand(1, 3, 8, 12)).shape == (1, 3, 8, 12)
