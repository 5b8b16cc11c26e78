import pytest
import torch
from torch import Tensor

from stylesr.errors import InputError
from stylesr.models import Generator, MicroAST
from tests.models.contract import GeneratorContract, picture, randomised

STYLE = torch.rand(1, 3, 24, 17, generator=torch.Generator().manual_seed(7))


class TestMicroAST(GeneratorContract):
    model_class = MicroAST
    tiny = {"channels": 8}
    refused = [("channels", 1), ("channels", 65), ("channels", "16")]

    def call(
        self, model: Generator, x: Tensor, scale: int, origin: tuple[int, int] = (0, 0)
    ) -> Tensor:
        return model(x, style=STYLE.to(x.dtype), scale=scale)


@pytest.fixture
def model() -> Generator:
    return randomised(MicroAST(channels=8))


def test_the_default_network_has_the_published_size() -> None:
    assert round(sum(p.numel() for p in MicroAST().parameters()) / 1000) == 472


def test_a_style_read_once_does_for_many_photos(model: Generator) -> None:
    x = picture(model, 1, count=3)
    code = model.encode_style(STYLE)
    torch.testing.assert_close(model(x, code), model(x, STYLE))


def test_each_photo_can_have_its_own_style(model: Generator) -> None:
    x = picture(model, 1, count=2)
    styles = torch.cat([STYLE, 1 - STYLE])
    each = torch.cat([model(x[i : i + 1], styles[i : i + 1]) for i in range(2)])
    assert (each[0] - model(x[:1], styles[1:])).abs().max() > 1e-3
    torch.testing.assert_close(model(x, styles), each, atol=1e-5, rtol=0)


def test_by_given_statistics_each_place_is_painted_by_what_is_around(model: Generator) -> None:
    assert isinstance(model, MicroAST)
    code = model.encode_style(STYLE)
    x = torch.rand(1, 3, 40, 240, generator=torch.Generator().manual_seed(0))
    own = model.statistics(x, code)
    assert [tuple(mean.shape[2:]) for mean, _ in own] == [(1, 1), (1, 1)]
    torch.testing.assert_close(model(x, code, by=own), model(x, code))
    other = x.clone()
    other[..., 160:] = 0
    free, bound = (
        (model(x, code, by=by) - model(other, code, by=by))[..., :40].abs().max()
        for by in (None, own)
    )
    assert free > 1e-3
    assert bound < 1e-5


def test_styles_that_do_not_match_the_photos_are_refused(model: Generator) -> None:
    x = picture(model, 1, count=3)
    with pytest.raises(InputError, match="2 styles for 3 pictures"):
        model(x, torch.cat([STYLE, STYLE]))
    with pytest.raises(InputError, match="at least 8×8 pixels, got 8×4"):
        model(x, STYLE[..., :10, :7])
    with pytest.raises(InputError, match=r"\(N, 3, H, W\)"):
        model(x, STYLE[0])
