import pytest
import torch

from stylesr.models import ESPCN
from tests.models.contract import GeneratorContract


class TestESPCN(GeneratorContract):
    model_class = ESPCN
    tiny = {"channels": 4}
    refused = [
        ("channels", 3),
        ("channels", 257),
        ("channels", "64"),
        ("scale", 1),
        ("scale", 5),
        ("scale", 4.0),
        ("scale", True),
    ]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_each_pixel_becomes_a_block(scale: int) -> None:
    """Zero weights leave the last layer's biases: one for each place in the block and colour."""
    net = ESPCN(channels=4, scale=scale)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net.layers[-1].bias.copy_(torch.arange(3.0 * scale**2))
    y = net(torch.rand(1, 3, 5, 6))
    block = torch.arange(3.0 * scale**2).view(3, scale, scale)
    assert torch.equal(y, block.repeat(1, 5, 6)[None])
