from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from stylesr.colors import keep_photo_colors, luma, palette_only
from stylesr.errors import InputError

Noise = Callable[..., Tensor]

# RGB → Y, Cb, Cr of JFIF (BT.601, full range), written out independently of the module.
YCBCR = np.array(
    [
        [0.299, 0.587, 0.114],
        [-0.168735891647856, -0.331264108352144, 0.5],
        [0.5, -0.418687589158345, -0.081312410841655],
    ]
)


def ycbcr(image: Tensor) -> np.ndarray:
    return np.einsum("kc,nchw->nkhw", YCBCR, image.double().numpy())


def middling(image: Tensor) -> Tensor:
    """Values far enough from 0 and 1 that nothing is clamped."""
    return 0.4 + 0.2 * image


def test_luma_of_primaries() -> None:
    primaries = torch.eye(3)[:, :, None, None]
    assert luma(primaries).flatten().tolist() == pytest.approx([0.299, 0.587, 0.114])


def test_keep_photo_colors_takes_luma_from_one_and_chroma_from_the_other(noise: Noise) -> None:
    painted, photo = middling(noise(2, 3, 7, 9)), middling(noise(2, 3, 7, 9, seed=1))
    result = ycbcr(keep_photo_colors(painted, photo))
    np.testing.assert_allclose(result[:, 0], ycbcr(painted)[:, 0], atol=1e-6)
    np.testing.assert_allclose(result[:, 1:], ycbcr(photo)[:, 1:], atol=1e-6)


def test_keep_photo_colors_of_a_gray_photo_is_gray(noise: Noise) -> None:
    photo = middling(noise(1, 1, 8, 8)).repeat(1, 3, 1, 1)
    result = keep_photo_colors(middling(noise(1, 3, 8, 8, seed=1)), photo)
    assert torch.equal(result[:, 0], result[:, 1]) and torch.equal(result[:, 0], result[:, 2])


def checker(height: int, width: int) -> Tensor:
    """Fine detail: ±0.1 in blocks of 2×2, mean 0."""
    tile = torch.tensor([[0.1, -0.1], [-0.1, 0.1]]).repeat_interleave(2, 0).repeat_interleave(2, 1)
    return tile.tile(height // 4, width // 4)


def test_palette_only_takes_a_tint_over() -> None:
    photo = (0.5 + checker(128, 256)).expand(1, 3, 128, 256)
    tint = torch.tensor([0.2, -0.1, 0.05]).view(1, 3, 1, 1)
    torch.testing.assert_close(palette_only(photo + tint, photo), photo + tint, atol=1e-5, rtol=0)


def test_palette_only_drops_strokes_and_keeps_detail() -> None:
    strokes, detail = checker(256, 256), checker(256, 256).roll(1, 1)
    painted = 0.4 + strokes.expand(1, 3, 256, 256)
    photo = 0.6 + detail.expand(1, 3, 256, 256)
    inside = (..., slice(16, -16), slice(16, -16))
    expected = 0.4 + detail.expand(1, 3, 256, 256)
    result = palette_only(painted, photo)
    torch.testing.assert_close(result[inside], expected[inside], atol=0.01, rtol=0)


def test_palette_only_leaves_no_halo_at_the_photos_edges() -> None:
    right = (torch.arange(256) >= 101).float().expand(1, 1, 256, 256)
    left_color, right_color = torch.tensor([[0.2, 0.4, 0.6], [0.9, 0.3, 0.1]]).view(2, 1, 3, 1, 1)
    photo = (0.3 + 0.5 * right).expand(1, 3, 256, 256)
    painted = torch.lerp(left_color, right_color, right)
    assert (palette_only(painted, photo) - painted).abs().max() < 0.05


@pytest.mark.parametrize("recolor", [keep_photo_colors, palette_only])
@pytest.mark.parametrize("size", [(1, 1), (5, 300), (37, 53)])
def test_a_picture_with_its_own_colors_is_itself(
    noise: Noise, recolor: Callable[[Tensor, Tensor], Tensor], size: tuple[int, int]
) -> None:
    image = noise(1, 3, *size)
    torch.testing.assert_close(recolor(image, image), image, atol=1e-6, rtol=0)


@pytest.mark.parametrize("recolor", [keep_photo_colors, palette_only])
def test_results_stay_in_range_and_inputs_stay_as_they_are(
    noise: Noise, recolor: Callable[[Tensor, Tensor], Tensor]
) -> None:
    painted, photo = noise(1, 3, 20, 30).round(), noise(1, 3, 20, 30, seed=1).round()
    before = painted.clone(), photo.clone()
    result = recolor(painted, photo)
    assert result.shape == painted.shape
    assert result.min() >= 0 and result.max() <= 1
    assert torch.equal(painted, before[0]) and torch.equal(photo, before[1])


@pytest.mark.parametrize("recolor", [keep_photo_colors, palette_only])
@pytest.mark.parametrize("shape", [(1, 3, 8, 9), (3, 8, 8), (1, 1, 8, 8)])
def test_pairs_that_do_not_match_are_refused(
    recolor: Callable[[Tensor, Tensor], Tensor], shape: tuple[int, ...]
) -> None:
    other = torch.zeros(1, 3, 8, 8) if shape == (1, 3, 8, 9) else torch.zeros(shape)
    with pytest.raises(InputError, match=rf"\({', '.join(map(str, shape))}\)"):
        recolor(torch.zeros(shape), other)
