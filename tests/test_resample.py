"""`resample` against MATLAB, Pillow and plain arithmetic."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from stylesr.errors import InputError
from stylesr.images import decode
from stylesr.picture import to_levels
from stylesr.resample import downscale, reach, resize


def benchmark_pair(shared_data, scale, index):
    """(high, low) resolution of Set5 in float64, the low one made by MATLAB."""
    folder = shared_data / "benchmarks" / f"Set5_matlab_x{scale}"
    hr = folder / f"{index:03}_HR.png"
    if not hr.exists():
        hr = shared_data / "benchmarks" / "Set5" / f"{index:03}.png"
    lr = decode(folder / f"{index:03}_LR.png").pixels[None].double()
    height, width = (scale * n for n in lr.shape[-2:])
    return decode(hr).pixels[None, :, :height, :width].double(), lr


def downscale_like_matlab(image, scale):
    """MATLAB works on uint8: rows first, rounded, then columns, rounded."""
    height, width = image.shape[-2] // scale, image.shape[-1] // scale
    rows = to_levels(resize(image, (height, image.shape[-1]))) / 255
    return to_levels(resize(rows, (height, width))) / 255


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("index", range(1, 6))
def test_matches_matlab(shared_data, scale, index):
    """Within a level everywhere. That MATLAB release repeated the border pixels, today's mirrors
    them as `resize` does, hence the padding."""
    hr, lr = benchmark_pair(shared_data, scale, index)
    padded = F.pad(hr, [4 * scale] * 4, mode="replicate")
    ours = downscale_like_matlab(padded, scale)[..., 4:-4, 4:-4]
    levels = ((ours - lr) * 255).abs().round()
    assert levels.max() <= 1
    assert (levels > 0).double().mean() < 2e-3  # ties at half a level


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_matches_matlab_inside_without_its_rounding(shared_data, scale):
    for index in range(1, 6):
        hr, lr = benchmark_pair(shared_data, scale, index)
        error = (to_levels(downscale(hr, scale)) - 255 * lr)[..., 2:-2, 2:-2].abs()
        assert error.mean() < 0.2
        assert (error > 1.5).double().mean() < 2e-3  # overshoot that uint8 clips between passes


@pytest.mark.parametrize("size", [(24, 31), (90, 101), (13, 64)])
def test_is_close_to_pillow(scene, size):
    """Pillow's BICUBIC has the same kernel and antialiasing; it differs at the borders."""
    image = scene(48, 62)
    ours = resize(image[None], size)[0]
    height, width = size
    for plane, expected in zip(ours, image, strict=True):
        pillow = Image.fromarray(expected.numpy()).resize((width, height), Image.Resampling.BICUBIC)
        difference = np.abs(plane.numpy() - np.asarray(pillow))
        assert difference.mean() < 2e-3
        assert difference[8:-8, 8:-8].max(initial=0) < 1e-5


def test_hand_computed_weights():
    """Enlarging by 2 lies at a quarter and three quarters between neighbours."""
    step = torch.tensor([0.0, 0, 0, 1, 1, 1], dtype=torch.float64).view(1, 1, 1, 6)
    # Keys' kernel (a = -0.5) at distances 1.75, 0.75, 0.25, 1.25 and its running sums.
    taps = [-0.0234375, 0.2265625, 0.8671875, -0.0703125]
    expected = [0, 0, 0, taps[0], taps[3], taps[0] + taps[1]]
    expected += [1 - value for value in reversed(expected)]
    result = resize(step, (1, 12)).flatten()
    torch.testing.assert_close(result, torch.tensor(expected, dtype=torch.float64))


def test_same_size_is_the_same_picture(noise):
    image = noise(2, 3, 7, 9)
    assert torch.equal(resize(image, (7, 9)), image)


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (40, 33), (7, 100)])
@pytest.mark.parametrize("source", [(1, 1), (2, 5), (17, 23)])
def test_constants_stay_constant(source, size):
    image = torch.full((1, 2, *source), 0.3, dtype=torch.float64)
    torch.testing.assert_close(resize(image, size), torch.full((1, 2, *size), 0.3).double())


@pytest.mark.parametrize("size", [(6, 10), (24, 20), (5, 7)])
def test_borders_are_mirrored(noise, size):
    """As if the picture were surrounded by its mirror images."""
    image = noise(1, 1, 12, 10).double()
    across = torch.cat([image.flip(-1), image, image.flip(-1)], -1)
    mirrored = torch.cat([across.flip(-2), across, across.flip(-2)], -2)
    height, width = size
    whole = resize(mirrored, (3 * height, 3 * width))
    torch.testing.assert_close(resize(image, size), whole[..., height:-height, width:-width])


@pytest.mark.parametrize("turn", [lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.mT])
def test_commutes_with_flips_and_transposition(noise, turn):
    image = noise(1, 3, 15, 15)
    torch.testing.assert_close(turn(resize(image, (6, 6))), resize(turn(image), (6, 6)))


def test_a_wide_shrink_is_a_mean(noise):
    image = noise(1, 1, 64, 64).double()
    torch.testing.assert_close(resize(image, (1, 1)).squeeze(), image.mean(), rtol=0.05, atol=0)


def test_gradients():
    image = torch.rand(1, 1, 6, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: resize(x, (3, 9)), image)


def test_training_after_inference():
    """Cached weights made in inference mode must not end up in autograd's way."""
    with torch.inference_mode():
        resize(torch.rand(1, 1, 19, 19), (7, 7))
    image = torch.rand(1, 1, 19, 19, requires_grad=True)
    resize(image, (7, 7)).sum().backward()
    assert image.grad is not None and image.grad.sum().item() == pytest.approx(49, rel=1e-5)


def test_downscale(noise):
    image = noise(1, 3, 12, 8)
    assert torch.equal(downscale(image, 4), resize(image, (3, 2)))
    assert torch.equal(downscale(image, 1), image)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: resize(torch.rand(3, 4, 4), (2, 2)), r"\(3, 4, 4\)"),
        (lambda: resize(torch.zeros(1, 3, 4, 4, dtype=torch.uint8), (2, 2)), "uint8"),
        (lambda: resize(torch.rand(1, 3, 4, 4), (0, 2)), "0×2"),
        (lambda: downscale(torch.rand(1, 3, 9, 8), 4), "9×8"),
        (lambda: downscale(torch.rand(1, 3, 8, 8), 0), "got 0"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("radius", [0, 1, 5, 6, 20])
def test_reach_is_how_far_an_enlarged_pixel_sees(scale: int, radius: int) -> None:
    """Counted from what impulses at each of 41 pixels leave in the filter's window."""
    impulses = resize(torch.eye(41).view(41, 1, 1, 41), (1, 41 * scale))[:, 0, 0]
    distances = []
    for offset in range(scale):
        place = 20 * scale + offset
        near = impulses[:, place - radius : place + radius + 1]
        seen = near.abs().sum(1).nonzero().flatten()
        distances += [20 - int(seen[0]), int(seen[-1]) - 20]
    assert reach(scale, radius) - 1 <= max(distances) <= reach(scale, radius)
