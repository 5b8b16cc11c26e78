"""What every generator must do. A generator's test class inherits `GeneratorContract`:

class TestSRCNN(GeneratorContract):
    model_class = SRCNN
    tiny = {"channels": 8}
    refused = [("channels", 0), ("channels", "8")]
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stylesr.errors import InputError, ModelError
from stylesr.models import Generator
from stylesr.models.instance_norm import InstanceNormalised

FLOAT8 = torch.float8_e4m3fn


class GeneratorContract:
    model_class: ClassVar[type[Generator]]
    tiny: ClassVar[dict[str, Any]]  # a config that runs fast
    refused: ClassVar[list[tuple[str, Any]]]  # config values out of bounds

    def call(
        self, model: Generator, x: Tensor, scale: int, origin: tuple[int, int] = (0, 0)
    ) -> Tensor:
        """Run the model on a window that starts at `origin` of a larger picture."""
        return model(x, scale=scale)

    # -- set-up -------------------------------------------------------------------------------

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "scale" in metafunc.fixturenames:
            scales = self.model_class(**self.tiny).scales
            metafunc.parametrize("scale", scales, ids=lambda scale: f"x{scale}")
        if "bad" in metafunc.fixturenames:
            metafunc.parametrize("bad", self.refused, ids=lambda bad: f"{bad[0]}={bad[1]!r}")

    @pytest.fixture
    def model(self) -> Generator:
        return randomised(self.model_class(**self.tiny))

    @pytest.fixture
    def folder(self, model: Generator, tmp_path: Path) -> Path:
        model.save_pretrained(tmp_path / "saved")
        return tmp_path / "saved"

    # -- forward and backward -----------------------------------------------------------------

    def test_output_is_the_input_times_the_factor(self, model: Generator, scale: int) -> None:
        x = picture(model, scale, count=2)
        y = self.call(model, x, scale)
        assert y.shape == (2, 3, x.shape[2] * scale, x.shape[3] * scale)
        assert y.dtype == torch.float32
        assert y.isfinite().all()

    def test_a_batch_gives_what_each_picture_gives(self, model: Generator, scale: int) -> None:
        x = picture(model, scale, count=3)
        one_by_one = torch.cat([self.call(model, one[None], scale) for one in x])
        torch.testing.assert_close(self.call(model, x, scale), one_by_one, atol=1e-5, rtol=0)

    def test_the_input_is_left_as_it_was(self, model: Generator, scale: int) -> None:
        x = picture(model, scale)
        before = x.clone()
        self.call(model, x, scale)
        assert torch.equal(x, before)

    def test_finite_gradients_reach_every_parameter_and_the_input(self, model: Generator) -> None:
        model.train().requires_grad_(True)
        for scale in model.scales:
            x = picture(model, scale, count=2).requires_grad_()
            self.call(model, x, scale).square().mean().backward()
            assert x.grad is not None and x.grad.isfinite().all() and x.grad.any(), f"×{scale}"
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, f"{name} takes no part"
            assert parameter.grad.isfinite().all() and parameter.grad.any(), name

    # -- what is refused ----------------------------------------------------------------------

    def test_a_size_between_multiples_is_refused(self, model: Generator, scale: int) -> None:
        if model.multiple_of(scale) == 1:
            assert self.call(model, picture(model, scale)[..., :-1], scale).isfinite().all()
            return
        x = picture(model, scale)[..., :-1]
        with pytest.raises(InputError, match=f"{x.shape[2]}×{x.shape[3]}"):
            self.call(model, x, scale)

    def test_a_size_below_the_least_is_refused(self, model: Generator, scale: int) -> None:
        small = model.min_size - 1
        with pytest.raises(InputError, match=rf"{model.min_size}.*{small}×{small}"):
            self.call(model, torch.zeros(1, 3, small, small), scale)

    @pytest.mark.parametrize("shape", [(3, 8, 8), (1, 1, 8, 8), (1, 4, 8, 8), (1, 1, 3, 8, 8)])
    def test_a_wrong_shape_is_refused(self, model: Generator, shape: tuple[int, ...]) -> None:
        with pytest.raises(InputError, match=r"\(N, 3, H, W\)") as caught:
            self.call(model, torch.zeros(shape), model.scales[0])
        assert str(shape) in str(caught.value)

    @pytest.mark.parametrize("factor", [0, -4, 3, 16])
    def test_another_factor_is_refused(self, model: Generator, factor: int) -> None:
        with pytest.raises(InputError, match=rf"{model.scales[0]}.* not by {factor}"):
            self.call(model, picture(model, model.scales[0]), factor)

    def test_a_config_value_out_of_bounds_is_refused(self, bad: tuple[str, Any]) -> None:
        name, value = bad
        with pytest.raises(InputError, match=rf"{name}.*, got "):
            self.model_class(**{**self.tiny, name: value})

    # -- as data ------------------------------------------------------------------------------

    def test_device_and_dtype_are_the_weights(self, model: Generator) -> None:
        assert (model.device, model.dtype) == (torch.device("cpu"), torch.float32)
        assert model.to(torch.float64).dtype == torch.float64
        assert model.to("meta").device == torch.device("meta")

    def test_config_is_plain_json_and_builds_the_same_network(self, model: Generator) -> None:
        again = self.model_class(**plain(model.config))
        again.load_state_dict(model.state_dict(), strict=True)
        assert plain(again.config) == plain(model.config)

    def test_fingerprint_is_of_the_weights_values(self, model: Generator) -> None:
        before = model.fingerprint()
        assert len(before) == 64 and int(before, 16) >= 0
        again = self.model_class(**self.tiny)
        again.load_state_dict(model.state_dict())
        assert again.to(memory_format=torch.channels_last).fingerprint() == before
        for name, parameter in again.named_parameters():
            with torch.no_grad():
                parameter[(-1,) * parameter.ndim] += 1e-3
            changed = again.fingerprint()
            assert changed != before, name
            before = changed

    def test_no_pixel_beyond_the_receptive_field_matters(
        self, model: Generator, scale: int
    ) -> None:
        """Counted from the borders of the pixel's block of `multiple_of(scale)` pixels."""
        field, unit = model.receptive_field(scale), model.multiple_of(scale)
        if field is None:
            pytest.skip("depends on the whole picture")
        assert field % unit == 0
        model.double()
        start = -(-field // unit) * unit + 2 * unit  # of a block in the middle
        x = picture(model, scale, size=(2 * start + unit, 2 * start + unit)).double()
        reached = 0
        for place in range(start, start + unit):
            touched = x.clone()
            touched[:, :, place, place] += 0.5
            changed = (self.call(model, touched, scale) != self.call(model, x, scale)).any(1)[0]
            assert changed[place * scale, place * scale]
            for index in changed.nonzero().unbind(1):
                block = index // scale // unit * unit
                away = torch.maximum(block - place, place - (block + unit - 1))
                reached = max(reached, int(away.max()))
        assert reached <= field, f"{reached} pixels away matters, declared {field}"
        assert reached > field - 2 * unit, f"only {reached} pixels matter, declared {field}"

    def test_tiles_equal_the_whole(self, model: Generator, scale: int) -> None:
        field, unit = model.receptive_field(scale), model.multiple_of(scale)
        if field is None:
            pytest.skip("depends on the whole picture")
        core = 4 * unit
        side = core + 2 * field + 8 * unit
        x = picture(model, scale, size=(side, side + unit))
        whole = self.call(model, x, scale)
        inside = 3 * unit  # a window away from every border, and one in each of two corners
        for top, left in [(inside, inside), (0, 0), (side - core, side - core)]:
            t0, l0 = max(0, top - field), max(0, left - field)
            window = x[..., t0 : top + core + field, l0 : left + core + field]
            tile = self.call(model, window, scale, origin=(t0, l0))
            at = (slice((top - t0) * scale, (top - t0 + core) * scale),)
            at += (slice((left - l0) * scale, (left - l0 + core) * scale),)
            there = (
                slice(top * scale, (top + core) * scale),
                slice(left * scale, (left + core) * scale),
            )
            torch.testing.assert_close(tile[(..., *at)], whole[(..., *there)], atol=1e-5, rtol=0)

    def test_without_a_receptive_field_tiles_differ(self, model: Generator, scale: int) -> None:
        """So that None is not said of a network whose tiles would agree."""
        if model.receptive_field(scale) is not None:
            pytest.skip("tiles agree")
        model.double()
        x = picture(model, scale, size=(256, 256)).double()
        far = (..., slice(128 * scale), slice(128 * scale))  # 112 pixels from where the tile ends
        whole, tile = self.call(model, x, scale), self.call(model, x[..., :240, :240], scale)
        assert (whole[far] - tile[far]).abs().max() > 1e-6

    # -- on disk ------------------------------------------------------------------------------

    def test_a_reloaded_model_has_equal_values(
        self, model: Generator, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        capsys.readouterr()
        again = self.model_class.from_pretrained(folder)
        assert capsys.readouterr().out == ""
        assert not again.training
        assert plain(again.config) == plain(model.config)
        assert again.fingerprint() == model.fingerprint()
        for name, tensor in model.state_dict().items():
            assert torch.equal(again.state_dict()[name], tensor), name
        for scale in model.scales:
            x = picture(model, scale)
            assert torch.equal(self.call(again, x, scale), self.call(model, x, scale))

    def test_a_file_of_float16_is_widened_on_loading(self, model: Generator, folder: Path) -> None:
        path = folder / "model.safetensors"
        state = {name: tensor.half() for name, tensor in load_file(path).items()}
        save_file(state, path)
        again = self.model_class.from_pretrained(folder)
        assert {t.dtype for t in again.state_dict().values()} == {torch.float32}
        assert again.fingerprint() == model.half().fingerprint()

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
    def test_a_converted_model_is_not_saved(
        self, model: Generator, tmp_path: Path, dtype: torch.dtype
    ) -> None:
        with pytest.raises(ModelError, match=f"converted to {dtype}; save it before"):
            model.to(dtype).save_pretrained(tmp_path)
        assert not (tmp_path / "model.safetensors").exists()

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (None, "config.json is missing"),
            ("{", "not readable JSON"),
            ("[]", "JSON object"),
            ("{}", "class_name"),
            ('{"class_name": "SomeOtherNet"}', "SomeOtherNet"),
        ],
        ids=["missing", "cut off", "a list", "no class", "another class"],
    )
    def test_a_folder_with_a_wrong_config_is_refused(
        self, folder: Path, content: str | None, message: str
    ) -> None:
        path = folder / "config.json"
        path.unlink() if content is None else path.write_text(content)
        self.refuses(folder, message)

    def test_an_unknown_config_key_is_refused(self, folder: Path) -> None:
        edit_config(folder, warp_factor=9)
        self.refuses(folder, "warp_factor")

    def test_a_config_value_out_of_bounds_is_refused_on_loading(
        self, folder: Path, bad: tuple[str, Any]
    ) -> None:
        name, value = bad
        edit_config(folder, **{name: value})
        self.refuses(folder, name)

    def test_missing_weights_are_refused(self, folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        self.refuses(folder, r"model.safetensors is missing")

    def test_pickled_weights_are_never_read(self, model: Generator, folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
        self.refuses(folder, r"safetensors only")

    def test_cut_off_weights_are_refused(self, folder: Path) -> None:
        path = folder / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-1])
        self.refuses(folder, "not a readable safetensors file")

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (lambda state, name: state.pop(name), "Missing key"),
            (lambda state, name: state.update(stowaway=torch.zeros(3)), "stowaway"),
            (lambda state, name: state[name].view(-1)[0].fill_(torch.nan), "not finite"),
            (lambda state, name: state[name].view(-1)[0].fill_(-torch.inf), "not finite"),
            (lambda state, name: state.update({name: torch.zeros(2, 2)}), "size mismatch"),
            (lambda state, name: state.update({name: state[name].long()}), "is of torch.int64"),
            (
                lambda state, name: state.update({name: state[name].to(FLOAT8)}),
                "is of torch.float8",
            ),
        ],
        ids=["missing", "extra", "NaN", "infinite", "another shape", "whole numbers", "8 bits"],
    )
    def test_a_damaged_tensor_is_refused(
        self, folder: Path, damage: Callable[[dict[str, Tensor], str], object], message: str
    ) -> None:
        path = folder / "model.safetensors"
        state = load_file(path)
        damage(state, next(iter(state)))
        save_file(state, path, metadata={"format": "pt"})
        self.refuses(folder, message)

    def refuses(self, folder: Path, message: str) -> None:
        with pytest.raises(ModelError, match=message):
            self.model_class.from_pretrained(folder)


class InstanceNormalisedContract(GeneratorContract):
    """Where instance normalisation reads the picture: as any other with the statistics given."""

    @staticmethod
    def pinned(model: Generator) -> Generator:
        assert isinstance(model, InstanceNormalised)
        return model.pinned([picture(model, 1, size=(48, 40))])

    def test_no_pixel_beyond_the_receptive_field_matters(
        self, model: Generator, scale: int
    ) -> None:
        super().test_no_pixel_beyond_the_receptive_field_matters(self.pinned(model), scale)

    def test_tiles_equal_the_whole(self, model: Generator, scale: int) -> None:
        super().test_tiles_equal_the_whole(self.pinned(model), scale)

    def test_pinned_to_a_picture_it_paints_that_as_before(self, model: Generator) -> None:
        assert isinstance(model, InstanceNormalised)
        x, other = picture(model, 1, size=(40, 48)), picture(model, 1, size=(48, 40))
        before, state = model(x), {k: v.clone() for k, v in model.state_dict().items()}
        torch.testing.assert_close(model.pinned([x])(x), before, atol=1e-5, rtol=0)
        assert (model.pinned([other])(x) - before).abs().max() > 1e-3
        assert model.state_dict().keys() == state.keys(), "the copy alone keeps statistics"
        assert torch.equal(model(x), before)

    def test_pinned_to_several_it_normalises_by_their_average(self, model: Generator) -> None:
        assert isinstance(model, InstanceNormalised)
        x, other = picture(model, 1, size=(40, 48)), picture(model, 1, size=(48, 40))
        alone, second, both = (
            model.pinned(some) for some in ([x], [other], (p for p in (x, other)))
        )
        torch.testing.assert_close(model.pinned([x, x])(x), model(x), atol=1e-5, rtol=0)
        first = [
            next(part for part in net.modules() if isinstance(part, nn.InstanceNorm2d))
            for net in (alone, second, both)
        ]
        for kind in ("running_mean", "running_var"):
            one, two, average = (getattr(norm, kind) for norm in first)
            torch.testing.assert_close(average, (one + two) / 2)
            assert not torch.allclose(one, two)
        with pytest.raises(InputError, match="no picture to normalise by"):
            model.pinned([])

    def test_not_pinned_tiles_differ(self, model: Generator) -> None:
        x, far = picture(model, 1, size=(256, 256)), (..., slice(128), slice(128))
        assert (model(x)[far] - model(x[..., :240, :240])[far]).abs().max() > 1e-5


def randomised(model: Generator) -> Generator:
    """Weights that let every path through the network be seen, the same each time; no gradients."""
    random = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data = 0.15 * torch.randn(parameter.shape, generator=random)
    return model.eval().requires_grad_(False)


def picture(
    model: Generator, scale: int, count: int = 1, size: tuple[int, int] | None = None
) -> Tensor:
    """Random pictures of a size that the model takes, not square."""
    unit = model.multiple_of(scale)
    least = -(-max(model.min_size + 1, 8) // unit) * unit
    random = torch.Generator().manual_seed(1)
    return torch.rand(count, 3, *(size or (least, least + unit)), generator=random)


def plain(config: dict[str, Any]) -> dict[str, Any]:
    """The config as a JSON file gives it back."""
    result: dict[str, Any] = json.loads(json.dumps(config))
    return result


def edit_config(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
