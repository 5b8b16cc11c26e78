"""Metrics against hand-computed numbers, plain loops and published figures."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from stylesr.errors import InputError, ModelError
from stylesr.images import decode
from stylesr.metrics import (
    LPIPS,
    SqueezeFeatures,
    content_distance,
    psnr_y,
    relative_gram_distance,
    seam_error,
    ssim_y,
)
from stylesr.resample import downscale, resize


@pytest.fixture(scope="module")
def features_file(shared_weights):
    return shared_weights / "squeezenet1_1-features.safetensors"


@pytest.fixture(scope="module")
def heads_file(shared_weights):
    return shared_weights / "lpips-squeeze-v0.1.safetensors"


@pytest.fixture(scope="module")
def lpips(features_file, heads_file):
    return LPIPS(features_file, heads_file)


def flat(level, height=16, width=16):
    return torch.full((3, height, width), level / 255)


# --- PSNR and SSIM on luma -------------------------------------------------------------------


def test_psnr_of_one_gray_level():
    """A gray level is 219/255 of a luma level."""
    assert psnr_y(flat(100), flat(101)) == pytest.approx(20 * math.log10(255 / (219 / 255)))


@pytest.mark.parametrize(("channel", "weight"), [(0, 65.481), (1, 128.553), (2, 24.966)])
def test_psnr_weighs_channels_by_bt601(channel, weight):
    other = flat(0)
    other[channel] = 1
    assert psnr_y(flat(0), other) == pytest.approx(20 * math.log10(255 / weight))


def test_psnr_of_equal_pictures_is_infinite(noise):
    assert psnr_y(noise(3, 8, 8), noise(3, 8, 8)) == math.inf


def test_psnr_rounds_half_up_and_clamps_first():
    assert psnr_y(flat(100.499), flat(99.5)) == math.inf
    assert psnr_y(flat(100.5), flat(101.4)) == math.inf
    assert psnr_y(flat(-30), flat(0)) == math.inf
    assert psnr_y(flat(300), flat(255)) == math.inf


def test_crop_leaves_the_border_out(noise):
    a = noise(3, 20, 24)
    b = a.clone()
    b[:, :3] = 0
    b[:, :, -3:] = 0
    assert psnr_y(a, b, 3) == math.inf
    assert ssim_y(a, b, 3) == 1
    assert psnr_y(a, b, 2) < 40
    assert ssim_y(a, b, 2) < 1


def test_a_batch_is_averaged_per_picture(noise):
    a, b = noise(2, 3, 16, 18), noise(2, 3, 16, 18, seed=1)
    b[0] = 0.9 * a[0] + 0.1 * b[0]
    for metric in (psnr_y, ssim_y):
        assert metric(a, b) == pytest.approx((metric(a[0], b[0]) + metric(a[1], b[1])) / 2)


def naive_ssim(x, y):
    """Plain loops over every whole 11×11 window, NumPy only."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    scores = []
    for top in range(x.shape[0] - 10):
        for left in range(x.shape[1] - 10):
            p, q = (z[top : top + 11, left : left + 11] for z in (x, y))
            mean_p, mean_q = (window * p).sum(), (window * q).sum()
            var_p, var_q = (window * (p - mean_p) ** 2).sum(), (window * (q - mean_q) ** 2).sum()
            covariance = (window * (p - mean_p) * (q - mean_q)).sum()
            scores.append(
                (2 * mean_p * mean_q + c1)
                * (2 * covariance + c2)
                / ((mean_p**2 + mean_q**2 + c1) * (var_p + var_q + c2))
            )
    return np.mean(scores)


def test_ssim_equals_a_naive_loop(scene, noise):
    a = (scene(25, 29) * 255).round()
    b = (a + (50 * noise(3, 25, 29) - 25).round()).clamp(0, 255)

    def luma(x):
        levels = x.numpy().astype(np.float64) / 255
        return 16 + 65.481 * levels[0] + 128.553 * levels[1] + 24.966 * levels[2]

    assert ssim_y(a / 255, b / 255) == pytest.approx(naive_ssim(luma(a), luma(b)), abs=1e-9)


def test_ssim_of_flat_pictures():
    """Without structure only the luminance term is left."""
    x, y = (16 + 219 * level / 255 for level in (50, 200))
    c1 = (0.01 * 255) ** 2
    assert ssim_y(flat(50), flat(200)) == pytest.approx((2 * x * y + c1) / (x * x + y * y + c1))


@pytest.mark.parametrize(
    ("scale", "psnr", "ssim"), [(2, 33.66, 0.9299), (3, 30.39, 0.8682), (4, 28.42, 0.8104)]
)
def test_bicubic_on_set5_as_published(shared_data, scale, psnr, ssim):
    """The figures of bicubic enlargement in the tables of the literature (VDSR, EDSR, …)."""
    psnrs, ssims = [], []
    for path in sorted((shared_data / "benchmarks" / "Set5").glob("*.png")):
        image = decode(path).pixels[None]
        height, width = (n // scale * scale for n in image.shape[-2:])
        image = image[..., :height, :width]
        small = (downscale(image, scale).clamp(0, 1) * 255 + 0.5).floor() / 255
        enlarged = resize(small, (height, width))
        psnrs.append(psnr_y(enlarged, image, scale))
        ssims.append(ssim_y(enlarged, image, scale))
    assert np.mean(psnrs) == pytest.approx(psnr, abs=0.025)
    assert np.mean(ssims) == pytest.approx(ssim, abs=0.001)


@pytest.mark.parametrize("metric", [psnr_y, ssim_y])
def test_luma_metrics_refuse_bad_arguments(metric, noise):
    with pytest.raises(InputError, match=r"\(3, 16, 16\) and \(3, 16, 17\)"):
        metric(noise(3, 16, 16), noise(3, 16, 17))
    with pytest.raises(InputError, match=r"\(1, 16, 16\)"):
        metric(noise(1, 16, 16), noise(1, 16, 16))
    with pytest.raises(InputError, match="crop 8 leaves nothing of 16×16"):
        metric(noise(3, 16, 16), noise(3, 16, 16), 8)
    with pytest.raises(InputError, match="crop -1"):
        metric(noise(3, 16, 16), noise(3, 16, 16), -1)


def test_ssim_refuses_what_is_smaller_than_its_window(noise):
    with pytest.raises(InputError, match="got 12×10 after cropping 2"):
        ssim_y(noise(3, 16, 14), noise(3, 16, 14), 2)


def test_seam_error():
    a = torch.zeros(1, 3, 4, 4)
    b = a.clone()
    b[0, 1, 2, 3] = -0.25
    assert seam_error(a, a) == 0
    assert seam_error(a, b) == 0.25
    with pytest.raises(InputError, match="shapes differ"):
        seam_error(a, b[..., :3])


# --- SqueezeNet and LPIPS --------------------------------------------------------------------


def test_squeeze_features_have_the_expected_shapes(features_file, noise):
    network = SqueezeFeatures(features_file)
    maps = network(noise(2, 3, 65, 97))
    assert tuple(maps) == SqueezeFeatures.names
    assert tuple(x.shape[1] for x in maps.values()) == SqueezeFeatures.channels
    assert maps["conv1"].shape == (2, 64, 32, 48)
    assert maps["fire9"].shape == (2, 512, 4, 6)
    assert not any(p.requires_grad for p in network.parameters())


def test_lpips_of_equal_pictures_is_zero(lpips, noise):
    x = noise(2, 3, 48, 40)
    assert torch.equal(lpips(x, x), torch.zeros(2))


def test_lpips_is_symmetric_and_grows_with_noise(lpips, scene, noise):
    clean = scene(64, 64)[None]
    grain = noise(1, 3, 64, 64) - 0.5
    distances = [float(lpips(clean, (clean + s * grain).clamp(0, 1))) for s in (0.05, 0.2, 0.8)]
    assert 0 < distances[0] < distances[1] < distances[2]
    noisy = (clean + 0.2 * grain).clamp(0, 1)
    assert float(lpips(noisy, clean)) == pytest.approx(distances[1], rel=1e-4)


def test_lpips_judges_a_batch_one_by_one(lpips, noise):
    a, b = noise(2, 3, 40, 40), noise(2, 3, 40, 40, seed=1)
    singles = torch.cat([lpips(a[i : i + 1], b[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(lpips(a, b), singles)


def reference_lpips(a, b, features_file, heads_file):
    """The published definition once more, from the raw weights and without modules."""
    weights, heads = load_file(features_file), load_file(heads_file)

    def conv(x, name, **options):
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], **options).relu()

    def fire(x, i):
        s = conv(x, f"{i}.squeeze")
        return torch.cat([conv(s, f"{i}.expand1x1"), conv(s, f"{i}.expand3x3", padding=1)], 1)

    def slices(x):
        mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
        deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
        x = conv((x - mean) / deviation, "0", stride=2)
        yield x
        for indices in ((3, 4), (6, 7)):
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            for i in indices:
                x = fire(x, i)
            yield x
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        for i in (9, 10, 11, 12):
            x = fire(x, i)
            yield x

    total = 0.0
    for i, (p, q) in enumerate(zip(slices(a), slices(b), strict=True)):
        difference = (F.normalize(p, dim=1) - F.normalize(q, dim=1)) ** 2
        total += (difference * heads[f"lin{i}.model.1.weight"]).sum(1).mean()
    return float(total)


def test_lpips_equals_a_second_implementation(lpips, features_file, heads_file, scene, noise):
    a = scene(70, 83)[None]
    b = (a + 0.3 * noise(1, 3, 70, 83)).clamp(0, 1)
    expected = reference_lpips(a, b, features_file, heads_file)
    assert float(lpips(a, b)) == pytest.approx(expected, rel=1e-3)  # constants of 3 digits


def test_lpips_refuses_bad_arguments(lpips, noise):
    with pytest.raises(InputError, match="shapes differ"):
        lpips(noise(1, 3, 40, 40), noise(1, 3, 40, 41))
    with pytest.raises(InputError, match=r"\(1, 3, 16, 40\)"):
        lpips(noise(1, 3, 16, 40), noise(1, 3, 16, 40))
    with pytest.raises(InputError, match=r"\(3, 40, 40\)"):
        lpips(noise(3, 40, 40), noise(3, 40, 40))


def test_wrong_weights_are_refused(features_file, heads_file, tmp_path):
    with pytest.raises(ModelError, match="no weights file"):
        SqueezeFeatures(tmp_path / "none.safetensors")
    with pytest.raises(ModelError, match="expected weights"):
        LPIPS(features_file, features_file)
    garbage = tmp_path / "garbage.safetensors"
    garbage.write_bytes(b"not a safetensors file")
    with pytest.raises(ModelError, match="expected weights"):
        SqueezeFeatures(garbage)
    heads = load_file(heads_file)
    del heads["lin3.model.1.weight"]
    save_file(heads, tmp_path / "short.safetensors")
    with pytest.raises(ModelError, match=r"lin3\.model\.1\.weight"):
        LPIPS(features_file, tmp_path / "short.safetensors")


# --- style -----------------------------------------------------------------------------------


def test_gram_distance_by_hand():
    """Two channels, two positions. G(a) = [[1, 0], [0, 1]] / 4, G(s) = [[4, 0], [0, 0]] / 4."""
    a = torch.tensor([[1.0, 0], [0, 1]]).view(1, 2, 1, 2)
    s = torch.tensor([[2.0, 0], [0, 0]]).view(1, 2, 1, 2)
    assert relative_gram_distance([a], [s]).item() == pytest.approx((9 + 1) / 16)
    assert relative_gram_distance([a, s], [s, s]).item() == pytest.approx(10 / 32)


def test_gram_distance_looks_at_statistics_only(noise):
    """Not at where things are, nor at how much of the texture there is."""
    s = noise(1, 5, 8, 8).double()
    moved = s.roll((3, 2), (2, 3)).flip(-1)
    repeated = s.repeat(2, 1, 3, 2)
    assert relative_gram_distance([moved], [s]).item() == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(
        relative_gram_distance([repeated], [s]), torch.zeros(2).double(), rtol=0, atol=1e-12
    )
    assert relative_gram_distance([0 * s], [s]).item() == pytest.approx(1)


def test_content_distance_by_hand(noise):
    p = torch.tensor([3.0, 4]).view(1, 1, 1, 2)
    a = torch.tensor([3.0, 3]).view(1, 1, 1, 2)
    assert content_distance([a], [p]).item() == pytest.approx(1 / 25)
    assert content_distance([a, p], [p, p]).item() == pytest.approx(1 / 50)
    batch = torch.cat([a, p])
    torch.testing.assert_close(
        content_distance([batch], [torch.cat([p, p])]), torch.tensor([1 / 25, 0])
    )


def test_style_distances_tell_a_style_from_a_photo(features_file, scene, noise):
    network = SqueezeFeatures(features_file)
    photo, style = scene(64, 64)[None], noise(1, 3, 80, 48)
    other = noise(1, 3, 64, 64, seed=5)
    of = {
        name: list(network(x).values())
        for name, x in [("photo", photo), ("style", style), ("other", other)]
    }
    near = relative_gram_distance(of["other"], of["style"])
    far = relative_gram_distance(of["photo"], of["style"])
    assert near < 0.3 * far
    assert content_distance(of["photo"], of["photo"]).item() == 0
    assert content_distance(of["other"], of["photo"]) > 0.5


def test_style_distances_refuse_what_does_not_match(noise):
    a = noise(2, 4, 6, 6)
    for distance in (relative_gram_distance, content_distance):
        with pytest.raises(InputError, match="got 1 and 2"):
            distance([a], [a, a])
        with pytest.raises(InputError, match="got 0 and 0"):
            distance([], [])
        with pytest.raises(InputError, match=r"\(2, 4, 6, 6\) and \(2, 5, 6, 6\)"):
            distance([a], [noise(2, 5, 6, 6)])
        with pytest.raises(InputError, match="cannot be compared"):
            distance([a], [noise(3, 4, 6, 6)])
    with pytest.raises(InputError, match="cannot be compared"):
        content_distance([a], [noise(2, 4, 6, 5)])
