import torch

from stylesr.models import UNetGenerator
from tests.models.contract import GeneratorContract, picture, randomised

TINY = {"channels": 4, "levels": 3}


class TestUNetGenerator(GeneratorContract):
    model_class = UNetGenerator
    tiny = TINY
    refused = [
        ("channels", 3),
        ("channels", 129),
        ("levels", 1),
        ("levels", 9),
        ("levels", 3.0),
        ("dropout", "0.5"),
        ("dropout", -0.1),
        ("dropout", 0.95),
    ]


class TestUNetGeneratorWithNoise(GeneratorContract):
    model_class = UNetGenerator
    tiny = {**TINY, "noise_levels": 2}
    refused = [("noise_levels", -1), ("noise_levels", 5)]


def test_noise_makes_places_differ_that_look_alike() -> None:
    flat = torch.full((1, 3, 64, 64), 0.5)
    model = randomised(UNetGenerator(4, 2, 0.0, noise_levels=2))
    x = flat.expand(2, -1, -1, -1)
    here, there = ((..., slice(start, start + 16)) for start in (20, 28))  # whole pixels below
    plain = randomised(UNetGenerator(4, 2))(flat)[..., 24:40, :]
    torch.testing.assert_close(plain[here], plain[there], atol=1e-5, rtol=0)
    noisy = model(flat)[..., 24:40, :]
    assert not torch.allclose(noisy[here], noisy[there], atol=0.01)
    assert torch.equal(model(flat), model(flat)), "in use a result repeats"
    one, two = model.train()(x)
    assert not torch.allclose(one, two), "in training each picture has noise of its own"


def test_the_default_network_has_the_published_size() -> None:
    """54,413,955 with batch normalisation, whose gains and shifts are 9,280 of these."""
    assert sum(p.numel() for p in UNetGenerator().parameters()) == 54_413_955 - 9_280


def test_training_drops_features_and_use_does_not() -> None:
    model = randomised(UNetGenerator(**TINY)).train()
    x = picture(model, 1, size=(16, 24))
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))
    shares = [m.p for m in UNetGenerator(4, 8).modules() if isinstance(m, torch.nn.Dropout)]
    assert shares == [0.5, 0.5, 0.5, 0, 0, 0, 0]


def test_the_lowest_level_sees_the_whole_picture() -> None:
    model = randomised(UNetGenerator(4, 4))
    x = picture(model, 1, size=(16, 16)).requires_grad_()
    model(x)[0, 0, 0, 0].backward()
    assert x.grad is not None and (x.grad.abs().sum((0, 1)) > 0).all()
