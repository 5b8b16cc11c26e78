import pytest
import torch

from stylesr.models import SRCNN
from stylesr.resample import resize
from tests.models.contract import GeneratorContract


class TestSRCNN(GeneratorContract):
    model_class = SRCNN
    tiny = {"channels": 4, "kernel": 3}
    refused = [
        ("channels", 3),
        ("channels", 257),
        ("channels", "64"),
        ("kernel", 0),
        ("kernel", 4),
        ("kernel", 7),
        ("scale", 1),
        ("scale", 5),
        ("scale", 4.0),
    ]


class TestTwice(GeneratorContract):
    model_class = SRCNN
    tiny = {"channels": 4, "kernel": 1, "scale": 2}
    refused = [("scale", True)]


@pytest.mark.parametrize(("kernel", "parameters"), [(1, 8_032), (3, 24_416), (5, 57_184)])
def test_it_has_the_papers_size(kernel: int, parameters: int) -> None:
    """Weights as in section 4.3.2, there of luma alone: one channel comes in and goes out."""
    weights = [p for p in SRCNN(kernel=kernel).parameters() if p.ndim == 4]
    first, middle, last = (w.numel() for w in weights)
    assert first // 3 + middle + last // 3 == parameters


def test_it_looks_at_the_picture_enlarged_by_bicubic_interpolation() -> None:
    net = SRCNN(channels=4, kernel=1, scale=3)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        for layer, middle in ((0, 4), (2, 0), (4, 2)):  # hand two channels on as they are
            for channel in range(2):
                net.layers[layer].weight[channel, channel, middle, middle] = 1
    x = torch.rand(1, 3, 7, 9)
    assert torch.allclose(net(x)[:, :2], resize(x, (21, 27))[:, :2].relu(), atol=1e-6)
