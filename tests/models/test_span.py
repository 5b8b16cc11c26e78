import torch

from stylesr.models import SPAN
from tests.models.contract import GeneratorContract


class TestSPAN(GeneratorContract):
    model_class = SPAN
    tiny = {"channels": 4, "centred": False}  # values near those of the pictures
    refused = [
        ("channels", 3),
        ("channels", "48"),
        ("scale", 0),
        ("scale", 5),
        ("scale", 4.0),
        ("centred", 1),
    ]


def test_the_default_network_has_the_published_size() -> None:
    """0.43 M parameters when fused (mult-adds a pixel of the input: as many weights)."""
    weights = sum(p.numel() for p in SPAN().parameters() if p.ndim == 4)
    assert round(weights / 1e6, 2) == 0.43


def test_pictures_are_centred_unless_told_otherwise() -> None:
    nets = [SPAN(4, 2, centred=centred) for centred in (True, False)]
    nets[1].load_state_dict(nets[0].state_dict())
    x = torch.rand(1, 3, 8, 9)
    mean = torch.tensor([0.4488, 0.4371, 0.4040]).view(1, 3, 1, 1)
    assert torch.allclose(nets[0](x), nets[1](255 * (x - mean)), rtol=1e-4, atol=1e-4)
