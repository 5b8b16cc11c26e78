import pytest
import torch

from stylesr.models import SRResNet
from tests.models.contract import GeneratorContract


class TestSRResNet(GeneratorContract):
    model_class = SRResNet
    tiny = {"channels": 4, "blocks": 1}
    refused = [
        ("channels", 3),
        ("channels", 257),
        ("blocks", 0),
        ("blocks", 33),
        ("blocks", "16"),
        ("scale", 1),
        ("scale", 5),
        ("scale", 4.0),
    ]


class TestThrice(GeneratorContract):
    model_class = SRResNet
    tiny = {"channels": 4, "blocks": 2, "scale": 3}
    refused = [("scale", None)]

    @pytest.mark.parametrize("factor", [0, -4, 2, 16])
    def test_another_factor_is_refused(self, model: SRResNet, factor: int) -> None:
        super().test_another_factor_is_refused(model, factor)


def test_the_default_network_has_the_published_size() -> None:
    """About 1.5 M parameters."""
    assert round(sum(p.numel() for p in SRResNet().parameters()) / 1e6, 1) == 1.5


def test_black_is_minus_one_within() -> None:
    net = SRResNet(channels=4, blocks=1)
    seen: list[torch.Tensor] = []
    net.first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    net(torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1).expand(1, 3, 8, 8))
    assert seen[0][0, :, 0, 0].tolist() == [-1, 0, 1]
