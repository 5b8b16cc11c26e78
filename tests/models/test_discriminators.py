import pytest
import torch
from torch import Tensor

from stylesr.models.discriminators import PatchDiscriminator


@pytest.fixture
def critic() -> PatchDiscriminator:
    torch.manual_seed(0)
    return PatchDiscriminator(channels=4)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 40), (72, 100)])
def test_scores_one_a_patch(critic: PatchDiscriminator, height: int, width: int) -> None:
    scores = critic(torch.rand(2, 3, height, width))
    assert scores.shape == (2, 1, height // 8 - 3, width // 8 - 3)


def test_a_score_sees_46_pixels(critic: PatchDiscriminator) -> None:
    picture = torch.rand(1, 3, 104, 104, requires_grad=True)
    scores = critic(picture)
    scores[0, 0, 5, 5].backward()
    seen = picture.grad.abs().sum((0, 1)) > 0  # type: ignore[union-attr]
    rows, columns = seen.any(1).nonzero().flatten(), seen.any(0).nonzero().flatten()
    assert len(rows) == len(columns) == 46
    assert int(rows[-1] - rows[0]) == int(columns[-1] - columns[0]) == 45


def test_weights_are_of_spectral_norm_one(critic: PatchDiscriminator) -> None:
    """After some passes the largest singular value of each convolution, as a matrix, is 1."""
    for _ in range(60):  # each pass is a step of the power iteration
        critic(torch.rand(1, 3, 32, 32))
    critic.eval()
    convolutions = [layer for layer in critic.layers if isinstance(layer, torch.nn.Conv2d)]
    assert len(convolutions) == 4
    for convolution in convolutions:
        values = torch.linalg.svdvals(convolution.weight.detach().flatten(1))
        assert values[0].item() == pytest.approx(1, abs=0.02)


def test_states_survive_saving(critic: PatchDiscriminator) -> None:
    """Its power iteration is part of the state: a resumed run goes on with the same norm."""
    critic(torch.rand(1, 3, 32, 32))
    other = PatchDiscriminator(channels=4)
    other.load_state_dict(critic.state_dict())
    picture = torch.rand(1, 3, 48, 48)
    scores: list[Tensor] = [net(picture) for net in (critic, other)]
    assert torch.equal(*scores)


def test_frozen_it_still_passes_gradients_to_the_picture(critic: PatchDiscriminator) -> None:
    critic.requires_grad_(False)
    picture = torch.rand(1, 3, 40, 40, requires_grad=True)
    critic(picture).mean().backward()
    assert picture.grad is not None and picture.grad.abs().max() > 0
    assert all(parameter.grad is None for parameter in critic.parameters())
