import torch

from stylesr.models import TransformerNet, TransformerSRNet
from tests.models.contract import (
    GeneratorContract,
    InstanceNormalisedContract,
    picture,
    randomised,
)

TINY = {"channels": 4, "blocks": 1}


class TestTransformerNet(InstanceNormalisedContract):
    model_class = TransformerNet
    tiny = TINY
    refused = [
        ("channels", 3),
        ("channels", 129),
        ("channels", 32.0),
        ("blocks", 0),
        ("blocks", 17),
    ]


class TestTransformerSRNet(GeneratorContract):
    model_class = TransformerSRNet
    tiny = TINY
    refused = [
        ("channels", 3),
        ("channels", "64"),
        ("blocks", 0),
        ("blocks", 17),
        ("scale", 1),
        ("scale", 3),
        ("scale", 8),
        ("scale", 4.0),
    ]


class TestTransformerSRNetAtX2(TestTransformerSRNet):
    tiny = {**TINY, "scale": 2}


def test_the_default_network_has_the_published_size() -> None:
    assert sum(p.numel() for p in TransformerNet().parameters()) == 1_679_235


def test_contrast_makes_next_to_no_difference() -> None:
    """What instance normalisation is for."""
    model = randomised(TransformerNet(**TINY))
    x = picture(model, 1, size=(64, 64))
    faint = 0.25 + 0.5 * x
    torch.testing.assert_close(model(faint), model(x), atol=1e-4, rtol=0)
