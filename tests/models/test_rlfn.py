import torch

from stylesr.models import RLFN
from tests.models.contract import GeneratorContract

TINY = {"channels": 4, "blocks": 2, "attention_channels": 2}


class TestRLFN(GeneratorContract):
    model_class = RLFN
    tiny = TINY
    refused = [
        ("channels", 3),
        ("channels", 257),
        ("blocks", 0),
        ("blocks", "6"),
        ("attention_channels", 0),
        ("scale", 0),
        ("scale", 5),
    ]


class TestTwice(GeneratorContract):
    model_class = RLFN
    tiny = {**TINY, "scale": 2}
    refused = [("scale", None)]


def test_the_default_network_has_the_published_size() -> None:
    """543 K parameters at ×4 and 527 K at ×2, in the paper's table 1."""
    for scale, thousands in [(4, 544), (2, 527)]:
        net = RLFN(scale=scale)
        assert round(sum(p.numel() for p in net.parameters()) / 1000) == thousands


def test_without_a_factor_it_takes_its_own() -> None:
    assert RLFN(**TINY, scale=2)(torch.zeros(1, 3, 15, 16)).shape == (1, 3, 30, 32)
