import torch

from stylesr.models import TransformerNet
from tests.models.contract import InstanceNormalisedContract, picture, randomised

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


def test_the_default_network_has_the_published_size() -> None:
    assert sum(p.numel() for p in TransformerNet().parameters()) == 1_679_235


def test_contrast_makes_next_to_no_difference() -> None:
    """What instance normalisation is for."""
    model = randomised(TransformerNet(**TINY))
    x = picture(model, 1, size=(64, 64))
    faint = 0.25 + 0.5 * x
    torch.testing.assert_close(model(faint), model(x), atol=1e-4, rtol=0)
