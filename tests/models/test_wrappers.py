import pytest
import torch

from stylesr.blending import strength
from stylesr.models.wrappers import EveryFactor, Painter
from tests import tiny

BASE = tiny.photo()
STYLE = tiny.style(BASE, 1)
INPUTS = [(4, torch.rand(2, 3, 8, 8)), (2, torch.rand(1, 3, 16, 16)), (1, torch.rand(1, 3, 32, 32))]
SEEDS = [3, 1, 4, 1]


@pytest.mark.parametrize("amount", [1.0, 0.5, 0.0])
def test_painter_runs_at_a_strength_as_the_pipeline_does(amount: float) -> None:
    net, painter = strength(BASE, STYLE, amount), Painter(STYLE, BASE)
    for scale, x in INPUTS:
        seeds = SEEDS[: len(x)]
        with torch.no_grad():
            painted = painter(x, scale, seeds, amount)
            alone = [net(x[i : i + 1], scale, seed) for i, seed in enumerate(seeds)]
        assert painted.shape == (len(x), 3, 32, 32)
        assert torch.allclose(painted, torch.cat(alone), atol=1e-5)


@pytest.mark.parametrize("amount", [1.0, 0.3])
def test_painter_trains_every_part_of_the_style_and_nothing_else(amount: float) -> None:
    style = tiny.style(BASE, 1).train()
    painter = Painter(style, BASE)
    for scale, x in INPUTS:
        painter(x, scale, SEEDS[: len(x)], amount).square().mean().backward()
    for name, parameter in painter.named_parameters():
        trained = name.startswith("style.")
        assert parameter.requires_grad == trained, name
        assert (parameter.grad is not None and parameter.grad.abs().max() > 0) == trained, name


def test_every_factor_trains_every_part() -> None:
    net = tiny.photo().train()
    outputs = EveryFactor(net)(INPUTS)
    assert [tuple(output.shape) for output in outputs] == [(n, 3, 32, 32) for n in (2, 1, 1)]
    assert torch.equal(outputs[1], net(INPUTS[1][1], scale=2))
    torch.cat(outputs).square().mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
