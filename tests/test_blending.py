import pytest
import torch
from torch import Tensor

from stylesr.blending import blend, normalised, strength, weighted_sum
from stylesr.errors import InputError, ModelError
from stylesr.models.stylesr_net import StyleSRNet
from tests import tiny


def values(net: StyleSRNet) -> dict[str, Tensor]:
    return net.state_dict()


def assert_same_values(one: StyleSRNet, other: StyleSRNet) -> None:
    assert all(torch.equal(value, values(other)[name]) for name, value in values(one).items())


def test_strength_is_an_exact_copy_at_both_ends() -> None:
    photo = tiny.photo()
    style = tiny.style(photo, 1)
    for amount, expected in ((0, photo), (0.0, photo), (1, style), (1.0, style)):
        result = strength(photo, style, amount)
        assert result is not expected
        assert result.config == expected.config
        assert_same_values(result, expected)


@pytest.mark.parametrize("amount", [0.25, 0.8, 1.3])
def test_strength_is_on_the_line_through_both(amount: float) -> None:
    photo = tiny.photo()
    style = tiny.style(photo, 1)
    result = values(strength(photo, style, amount))
    for name, start in values(photo).items():
        expected = start + amount * (values(style)[name] - start)
        torch.testing.assert_close(result[name], expected, atol=1e-6, rtol=1e-6)


def test_beyond_one_the_skip_gain_does_not_turn_negative() -> None:
    photo = tiny.photo()
    with torch.no_grad():
        photo.skip_gain.fill_(1.0)
        style = tiny.style(photo, 1)
        style.skip_gain.fill_(0.2)
    assert strength(photo, style, 1.5).skip_gain.item() == 0
    assert strength(photo, style, 1.1).skip_gain.item() == pytest.approx(0.12)


@pytest.mark.parametrize("amount", [-0.1, 1.51, float("nan"), "1", True, None])
def test_strengths_out_of_range_are_refused(amount: object) -> None:
    photo = tiny.photo()
    with pytest.raises(InputError, match=r"strength must be a number from 0 to 1\.5, got"):
        strength(photo, tiny.style(photo, 1), amount)  # type: ignore[arg-type]


def test_strength_needs_the_base_of_the_style() -> None:
    photo, other = tiny.photo(), tiny.photo(seed=9)
    with pytest.raises(ModelError, match=other.fingerprint()[:12]):
        strength(other, tiny.style(photo, 1), 0.5)


def test_a_blend_is_the_weighted_mean() -> None:
    photo = tiny.photo()
    one, two = tiny.style(photo, 1), tiny.style(photo, 2)
    result = values(blend({one: 3, two: 1}))
    for name, value in result.items():
        expected = 0.75 * values(one)[name] + 0.25 * values(two)[name]
        torch.testing.assert_close(value, expected, atol=1e-6, rtol=1e-6)


def test_a_blend_of_one_is_a_copy_and_inputs_stay_as_they_are() -> None:
    photo = tiny.photo()
    one, two = tiny.style(photo, 1), tiny.style(photo, 2)
    before = one.fingerprint()
    copy = blend({one: 7.0, two: 0})
    assert_same_values(copy, one)
    with torch.no_grad():
        copy.skip_gain.add_(1)
    assert one.fingerprint() == before


def test_a_blend_is_a_style_of_the_same_base() -> None:
    photo = tiny.photo()
    style = tiny.style(photo, 1)
    mixed = blend({photo: 1, style: 1})
    assert (mixed.base, mixed.base_sha256) == ("photo", photo.fingerprint())
    assert_same_values(strength(photo, mixed, 1), mixed)


def test_networks_of_different_bases_are_refused() -> None:
    one, two = tiny.photo(), tiny.photo(seed=9)
    with pytest.raises(ModelError, match="one base"):
        blend({tiny.style(one, 1): 1, tiny.style(two, 2, name="other"): 1})
    with pytest.raises(ModelError, match="one base"):
        blend({one: 1, two: 1})


def test_networks_of_different_sizes_are_refused() -> None:
    photo = tiny.photo()
    larger = StyleSRNet(
        channels=8, blocks=2, tail_channels=(8, 4), base="photo", base_sha256=photo.fingerprint()
    )
    with pytest.raises(ModelError, match="different sizes"):
        blend({tiny.style(photo, 1): 1, larger: 1})


def test_a_half_precision_blend_is_rounded_once() -> None:
    photo = tiny.photo()
    one, two = tiny.style(photo, 1).half(), tiny.style(photo, 2).half()
    result = values(weighted_sum({one: 0.3, two: 0.7}))
    for name, value in result.items():
        expected = 0.3 * values(one)[name].float() + 0.7 * values(two)[name].float()
        assert torch.equal(value, expected.half())


@pytest.mark.parametrize(
    ("weights", "names"),
    [
        ({}, "at least one weight above 0"),
        ({"a": 0, "b": 0.0}, "at least one weight above 0"),
        ({"a": -1, "b": 2}, "weight of 'a' .* -1"),
        ({"a": float("nan")}, "weight of 'a' .* nan"),
        ({"a": float("inf")}, "weight of 'a' .* inf"),
        ({"a": "1"}, "weight of 'a' .* '1'"),
    ],
)
def test_weights_that_make_no_mix_are_refused(weights: dict[str, float], names: str) -> None:
    with pytest.raises(InputError, match=names):
        normalised(weights)


def test_weights_are_divided_by_their_sum_without_zeros() -> None:
    assert normalised({"a": 3, "b": 1, "c": 0}) == {"a": 0.75, "b": 0.25}
    assert normalised({"a": 0.7}) == {"a": 1.0}
