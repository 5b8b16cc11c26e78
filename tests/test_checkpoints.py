"""Community checkpoints: written here with upstream's names, and the real ones where they are.

Each architecture is computed once more from the raw weights and without modules.
"""

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylesr import checkpoints
from stylesr.checkpoints import load_checkpoint
from stylesr.errors import ModelError
from stylesr.fidelity import hr_picture, low_resolution
from stylesr.likeness import SqueezeJudge
from stylesr.metrics import psnr_y
from stylesr.models import (
    RLFN,
    SPAN,
    CompactNet,
    MicroAST,
    ResnetGenerator,
    RRDBNet,
    TransformerNet,
)

State = dict[str, Tensor]
PARTS = ("content_encoder", "style_encoder", "modulator", "decoder")


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


class Weights:
    """Random ones, made when a name is first asked for."""

    def __init__(self) -> None:
        self.state: State = {}
        self.random = torch.Generator().manual_seed(3)

    def __call__(self, name: str, *shape: int) -> Tensor:
        self.state[name] = 0.15 * torch.randn(shape, generator=self.random)
        return self.state[name]

    def conv(self, x: Tensor, name: str, out: int, size: int, **options: int) -> Tensor:
        inputs = x.shape[1] // options.get("groups", 1)
        weight = self(f"{name}.weight", out, inputs, size, size)
        return F.conv2d(x, weight, self(f"{name}.bias", out), **options)

    def reflected(self, x: Tensor, name: str, out: int, size: int, **options: int) -> Tensor:
        return self.conv(F.pad(x, [size // 2] * 4, mode="reflect"), name, out, size, **options)


# -- upstream's networks, from their papers and names ---------------------------------------------


def compact(w: Weights, x: Tensor, channels: int, convolutions: int, scale: int) -> Tensor:
    y = x
    for i in range(convolutions + 1):
        y = w.conv(y, f"body.{2 * i}", channels, 3, padding=1)
        slope = w(f"body.{2 * i + 1}.weight", channels).view(-1, 1, 1)
        y = torch.where(y > 0, y, slope * y)
    y = w.conv(y, f"body.{2 * convolutions + 2}", 3 * scale**2, 3, padding=1)
    repeated = x.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    return F.pixel_shuffle(y, scale) + repeated


def rlfn(w: Weights, x: Tensor, channels: int, blocks: int, inner: int, scale: int) -> Tensor:
    first = y = w.conv(255 * x, "conv_1", channels, 3, padding=1)
    for b in range(1, blocks + 1):
        before, name = y, f"block_{b}"
        for c in "123":
            y = F.leaky_relu(w.conv(y, f"{name}.c{c}_r", channels, 3, padding=1), 0.05)
        y = w.conv(y + before, f"{name}.c5", channels, 1)
        c1 = w.conv(y, f"{name}.esa.conv1", inner, 1)
        c3 = F.max_pool2d(w.conv(c1, f"{name}.esa.conv2", inner, 3, stride=2), 7, 3)
        c3 = w.conv(c3, f"{name}.esa.conv3", inner, 3, padding=1)
        c3 = F.interpolate(c3, y.shape[2:], mode="bilinear", align_corners=False)
        cf = w.conv(c1, f"{name}.esa.conv_f", inner, 1)
        y = y * torch.sigmoid(w.conv(c3 + cf, f"{name}.esa.conv4", channels, 1))
    y = w.conv(y, "conv_2", channels, 3, padding=1) + first
    return F.pixel_shuffle(w.conv(y, "upsampler.0", 3 * scale**2, 3, padding=1), scale) / 255


def rrdb(w: Weights, x: Tensor, channels: int, blocks: int, growth: int, scale: int) -> Tensor:
    """By the names of BasicSR and Real-ESRGAN."""

    def conv(y: Tensor, name: str, out: int = channels) -> Tensor:
        return w.conv(y, name, out, 3, padding=1)

    first = y = conv(F.pixel_unshuffle(x, 4 // scale), "conv_first")
    for b in range(blocks):
        outer = y
        for d in "123":
            maps = [y]
            for c in "1234":
                dense = conv(torch.cat(maps, 1), f"body.{b}.rdb{d}.conv{c}", growth)
                maps.append(torch.where(dense > 0, dense, dense / 5))
            y = y + conv(torch.cat(maps, 1), f"body.{b}.rdb{d}.conv5") / 5
        y = outer + y / 5
    y = first + conv(y, "conv_body")
    for name in ("conv_up1", "conv_up2"):
        y = y.repeat_interleave(2, 2).repeat_interleave(2, 3)
        y = F.leaky_relu(conv(y, name), 0.2)
    return conv(F.leaky_relu(conv(y, "conv_hr"), 0.2), "conv_last", 3)


def in_bsrgan(name: str) -> str:
    """Its name of one of BasicSR's weights."""
    block = name.replace("body.", "RRDB_trunk.").replace("rdb", "RDB")
    others = {"conv_body": "trunk_conv", "conv_hr": "HRconv"}
    others |= {"conv_up1": "upconv1", "conv_up2": "upconv2"}
    head, _, kind = name.rpartition(".")
    return f"{others[head]}.{kind}" if head in others else block


def in_first_esrgan(name: str, blocks: int) -> str:
    """Its name of one of BasicSR's weights."""
    head, _, kind = name.rpartition(".")
    places = {"conv_first": "0", "conv_body": f"1.sub.{blocks}", "conv_up1": "3", "conv_up2": "6"}
    places |= {"conv_hr": "8", "conv_last": "10"}
    if head in places:
        return f"model.{places[head]}.{kind}"
    return f"model.1.sub.{head[5:].replace('rdb', 'RDB')}.0.{kind}"


def span(w: Weights, x: Tensor, channels: int, scale: int) -> Tensor:
    """As it is trained, with branches."""

    def conv(y: Tensor, name: str) -> Tensor:
        inner = w.conv(F.pad(y, (1, 1, 1, 1)), f"{name}.conv.0", 2 * y.shape[1], 1)
        inner = w.conv(inner, f"{name}.conv.1", 2 * channels, 3)
        inner = w.conv(inner, f"{name}.conv.2", channels, 1)
        w(f"{name}.eval_conv.weight", channels, y.shape[1], 3, 3)
        w(f"{name}.eval_conv.bias", channels)
        return inner + w.conv(y, f"{name}.sk", channels, 1)

    first = y = conv(255 * (x - torch.tensor([0.4488, 0.4371, 0.4040]).view(3, 1, 1)), "conv_1")
    results = []
    for b in range(1, 7):
        before, name = y, f"block_{b}"
        inner = conv(before, f"{name}.c1_r")
        inner = inner * inner.sigmoid()
        deep = conv(inner, f"{name}.c2_r")
        deep = conv(deep * deep.sigmoid(), f"{name}.c3_r")
        y = (deep + before) * (1 / (1 + (-deep).exp()) - 0.5)
        results.append(y)
    y = torch.cat([first, conv(y, "conv_2"), results[0], inner], 1)
    y = w.conv(y, "conv_cat", channels, 1)
    return F.pixel_shuffle(w.conv(y, "upsampler.0", 3 * scale**2, 3, padding=1), scale)


def transformer(w: Weights, x: Tensor, channels: int, blocks: int) -> Tensor:
    def norm(y: Tensor, name: str) -> Tensor:
        mean, variance = y.mean((2, 3), keepdim=True), y.var((2, 3), False, keepdim=True)
        gain, shift = (w(f"{name}.{k}", y.shape[1]).view(-1, 1, 1) for k in ("weight", "bias"))
        return gain * (y - mean) / (variance + 1e-5).sqrt() + shift

    y = 255 * x
    for i, (width, size, stride) in enumerate([(1, 9, 1), (2, 3, 2), (4, 3, 2)], 1):
        y = w.reflected(y, f"conv{i}.conv2d", width * channels, size, stride=stride)
        y = norm(y, f"in{i}").relu()
    for b in range(1, blocks + 1):
        inner = w.reflected(y, f"res{b}.conv1.conv2d", 4 * channels, 3)
        inner = norm(inner, f"res{b}.in1").relu()
        y = y + norm(w.reflected(inner, f"res{b}.conv2.conv2d", 4 * channels, 3), f"res{b}.in2")
    for i, width in [(1, 2), (2, 1)]:
        y = y.repeat_interleave(2, 2).repeat_interleave(2, 3)
        y = norm(w.reflected(y, f"deconv{i}.conv2d", width * channels, 3), f"in{i + 3}").relu()
    return w.reflected(y, "deconv3.conv2d", 3, 9) / 255


def cyclegan(w: Weights, x: Tensor, channels: int, blocks: int, second: int = 5) -> Tensor:
    """`second` is the place of a block's second convolution: 6 where it has dropout."""

    def norm(y: Tensor) -> Tensor:
        mean = y.mean((2, 3), keepdim=True)
        return (y - mean) / ((y - mean).square().mean((2, 3), keepdim=True) + 1e-5).sqrt()

    def enlarged(y: Tensor, name: str, out: int) -> Tensor:
        weight = w(f"{name}.weight", y.shape[1], out, 3, 3)
        bias = w(f"{name}.bias", out)
        options = {"stride": 2, "padding": 1, "output_padding": 1}
        return norm(F.conv_transpose2d(y, weight, bias, **options)).relu()

    y = norm(w.reflected(2 * x - 1, "model.1", channels, 7)).relu()
    for place, width in [(4, 2), (7, 4)]:
        y = norm(w.conv(y, f"model.{place}", width * channels, 3, stride=2, padding=1)).relu()
    for b in range(10, 10 + blocks):
        inner = norm(w.reflected(y, f"model.{b}.conv_block.1", 4 * channels, 3)).relu()
        y = y + norm(w.reflected(inner, f"model.{b}.conv_block.{second}", 4 * channels, 3))
    y = enlarged(y, f"model.{10 + blocks}", 2 * channels)
    y = enlarged(y, f"model.{13 + blocks}", channels)
    return (w.reflected(y, f"model.{17 + blocks}", 3, 7).tanh() + 1) / 2


def microast(parts: dict[str, Weights], x: Tensor, style: Tensor, channels: int) -> Tensor:
    c1, c2, c4 = channels, 2 * channels, 4 * channels

    def residual(w: Weights, y: Tensor, name: str) -> Tensor:
        inner = w.reflected(y, f"{name}.conv1.conv_layer", c4, 3).relu()
        return y + w.reflected(inner, f"{name}.conv2.conv_layer", c4, 3)

    def encode(w: Weights, y: Tensor) -> list[Tensor]:
        y = w.reflected(y, "enc1.0.conv_layer", c1, 9).relu()
        y = w.reflected(y, "enc1.2.conv_layer", c2, 3, stride=2, groups=c1).relu()
        y = w.conv(y, "enc1.4.conv_layer", c2, 1).relu()
        y = w.reflected(y, "enc1.6.conv_layer", c4, 3, stride=2, groups=c2).relu()
        y = w.conv(y, "enc1.8.conv_layer", c4, 1).relu()
        y = residual(w, y, "enc1.10")
        return [y, residual(w, y, "enc2.0")]

    def statistics(y: Tensor) -> tuple[Tensor, Tensor]:
        flat = y.flatten(2)
        mean, deviation = flat.mean(2), (flat.var(2) + 1e-5).sqrt()
        return mean[..., None, None], deviation[..., None, None]

    styles = encode(parts["style_encoder"], style)
    m, signals = parts["modulator"], {}
    for i in (1, 2):
        for kind in ("weight", "bias"):
            y = m.reflected(styles[i - 1], f"{kind}{i}.0.conv_layer", c4, 3, groups=c4)
            signals[kind, i] = y.mean((2, 3), keepdim=True)
    w, y = parts["decoder"], encode(parts["content_encoder"], x)[1]
    for i, name in [(2, "dec1"), (1, "dec2")]:
        (mean, deviation), (m_s, d_s) = statistics(y), statistics(styles[i - 1])
        y = (y - mean) / deviation * d_s + m_s
        weight, bias = signals["weight", i], signals["bias", i]
        inner = weight * w.reflected(y, f"{name}.conv1.conv_layer", c4, 3) + bias * y
        inner = inner.relu()
        y = y + weight * w.reflected(inner, f"{name}.conv2.conv_layer", c4, 3) + bias * inner
    for i, (out, groups) in [(1, (c2, c2)), (6, (c1, c1))]:
        y = F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)
        y = w.reflected(y, f"dec3.{i}.conv_layer", out, 3, groups=groups).relu()
        y = w.conv(y, f"dec3.{i + 2}.conv_layer", out, 1).relu()
    return w.reflected(y, "dec3.10.conv_layer", 3, 9)


NETWORKS: dict[str, tuple[type, dict[str, int], Callable[..., Tensor]]] = {
    "compact": (CompactNet, {"channels": 6, "convolutions": 3, "scale": 2}, compact),
    "compact x3": (CompactNet, {"channels": 4, "convolutions": 1, "scale": 3}, compact),
    "rlfn": (RLFN, {"channels": 6, "blocks": 2, "inner": 3, "scale": 2}, rlfn),
    "rlfn x4": (RLFN, {"channels": 5, "blocks": 1, "inner": 2, "scale": 4}, rlfn),
    "rrdb": (RRDBNet, {"channels": 6, "blocks": 2, "growth": 3, "scale": 4}, rrdb),
    "rrdb x2": (RRDBNet, {"channels": 6, "blocks": 1, "growth": 3, "scale": 2}, rrdb),
    "rrdb x1": (RRDBNet, {"channels": 6, "blocks": 2, "growth": 3, "scale": 1}, rrdb),
    "transformer": (TransformerNet, {"channels": 4, "blocks": 2}, transformer),
    "cyclegan": (ResnetGenerator, {"channels": 4, "blocks": 6}, cyclegan),
    "cyclegan of 9 blocks": (ResnetGenerator, {"channels": 5, "blocks": 9}, cyclegan),
    "transformer of 12 blocks": (TransformerNet, {"channels": 4, "blocks": 12}, transformer),
}


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[object], Path]:
    def save(content: object) -> Path:
        torch.save(content, tmp_path / "net.pth")
        return tmp_path / "net.pth"

    return save


def small_state() -> State:
    w = Weights()
    compact(w, torch.zeros(1, 3, 4, 4), 4, 1, 2)
    return w.state


# -- what loads -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_a_checkpoint_gives_what_upstream_gives(
    name: str, saved: Callable[[object], Path], noise: Callable[..., Tensor]
) -> None:
    model_class, sizes, upstream = NETWORKS[name]
    x, w = noise(2, 3, 20, 24), Weights()
    expected = upstream(w, x, **sizes)
    net = load_checkpoint(saved(w.state))
    assert type(net) is model_class and not net.training
    assert set(sizes.values()) == set(net.config.values())
    torch.testing.assert_close(net(x), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("blocks", [1, 12])
@pytest.mark.parametrize("style", ["BSRGAN", "ESRGAN"])
def test_older_names_of_rrdb_load(
    style: str, blocks: int, saved: Callable[[object], Path], noise: Callable[..., Tensor]
) -> None:
    x, w = noise(1, 3, 8, 9), Weights()
    expected = rrdb(w, x, 6, blocks, 3, 4)
    older = in_bsrgan if style == "BSRGAN" else lambda name: in_first_esrgan(name, blocks)
    net = load_checkpoint(saved({older(name): tensor for name, tensor in w.state.items()}))
    assert net.config == {"channels": 6, "blocks": blocks, "growth": 3, "scale": 4}
    torch.testing.assert_close(net(x), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("scale", [2, 4])
def test_span_is_fused(
    scale: int, saved: Callable[[object], Path], noise: Callable[..., Tensor]
) -> None:
    """Away from the border, where the branches were trained with other zeros than the fused."""
    x, w = noise(1, 3, 48, 50), Weights()
    expected = span(w, x, 6, scale)
    net = load_checkpoint(saved(w.state))
    assert isinstance(net, SPAN)
    assert net.config == {"channels": 6, "scale": scale, "centred": True}
    inside = (..., slice(21 * scale, -21 * scale), slice(21 * scale, -21 * scale))
    torch.testing.assert_close(net(x)[inside], expected[inside], atol=1e-2, rtol=1e-4)
    assert expected[inside].abs().mean() > 1
    plain = load_checkpoint(saved({**w.state, "no_norm": torch.zeros(1)}))
    mean = torch.tensor([0.4488, 0.4371, 0.4040]).view(3, 1, 1)
    torch.testing.assert_close(plain(255 * (x - mean)), net(x), atol=1e-2, rtol=1e-4)


@pytest.fixture
def four_files(tmp_path: Path, noise: Callable[..., Tensor]) -> Path:
    """MicroAST's, and what they should give."""
    parts = {part: Weights() for part in PARTS}
    for i, w in enumerate(parts.values()):
        w.random.manual_seed(i)
    x, style = noise(2, 3, 20, 24), noise(1, 3, 28, 16, seed=1)
    result = microast(parts, x, style, channels=4)
    for part, w in parts.items():
        torch.save(w.state, tmp_path / f"{part}_iter_7.pth.tar")
    torch.save((x, style, result), tmp_path / "expected")
    return tmp_path


@pytest.mark.parametrize("part", PARTS)
def test_microast_loads_from_any_of_its_four_files(four_files: Path, part: str) -> None:
    x, style, expected = torch.load(four_files / "expected", weights_only=True)
    net = load_checkpoint(four_files / f"{part}_iter_7.pth.tar")
    assert isinstance(net, MicroAST) and net.config == {"channels": 4}
    torch.testing.assert_close(net(x, style), expected, atol=1e-5, rtol=1e-4)


def test_averaged_weights_come_first(saved: Callable[[object], Path]) -> None:
    state = small_state()
    other = {name: tensor + 1 for name, tensor in state.items()}
    for content in (
        {"params_ema": state, "params": other},
        {"params": state},
        {"params": other, "iter": 5, "params_ema": state},
    ):
        net = load_checkpoint(saved(content))
        assert torch.equal(net.state_dict()["body.0.bias"], state["body.0.bias"])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(
    saved: Callable[[object], Path], dtype: torch.dtype
) -> None:
    state = {name: tensor.to(dtype) for name, tensor in small_state().items()}
    net = load_checkpoint(saved(state))
    assert net.dtype == torch.float32
    assert torch.equal(net.state_dict()["body.0.weight"], state["body.0.weight"].float())


def test_weights_in_another_order_in_memory_load(saved: Callable[[object], Path]) -> None:
    state = {
        name: t.contiguous(memory_format=torch.channels_last) if t.ndim == 4 else t
        for name, t in small_state().items()
    }
    net = load_checkpoint(saved(state))
    assert torch.equal(net.state_dict()["body.0.weight"], small_state()["body.0.weight"])


def test_a_file_in_the_format_before_zip_loads(tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    torch.save(small_state(), path, _use_new_zipfile_serialization=False)
    assert isinstance(load_checkpoint(path), CompactNet)


def test_running_statistics_of_old_style_files_are_dropped(
    saved: Callable[[object], Path],
) -> None:
    w = Weights()
    transformer(w, torch.zeros(1, 3, 8, 8), 4, 1)
    for name in ("in1", "in5", "res1.in2"):
        w.state |= {f"{name}.running_mean": torch.ones(4), f"{name}.running_var": torch.ones(4)}
    assert isinstance(load_checkpoint(saved(w.state)), TransformerNet)


def test_cyclegan_with_dropout_and_old_statistics_loads(
    saved: Callable[[object], Path], noise: Callable[..., Tensor]
) -> None:
    x, w = noise(1, 3, 16, 20), Weights()
    expected = cyclegan(w, x, 4, 2, second=6)
    for name in ("model.2", "model.10.conv_block.7"):
        w.state |= {f"{name}.running_mean": torch.ones(4), f"{name}.running_var": torch.ones(4)}
        w.state[f"{name}.num_batches_tracked"] = torch.tensor(7)
    torch.testing.assert_close(load_checkpoint(saved(w.state))(x), expected, atol=1e-4, rtol=1e-4)
    del w.state["model.11.conv_block.1.bias"]
    with pytest.raises(ModelError, match=r"(?s)fit ResnetGenerator.*layers\.0\.bias"):
        load_checkpoint(saved(w.state))


def test_a_loaded_checkpoint_is_saved_like_every_model(
    saved: Callable[[object], Path], tmp_path: Path
) -> None:
    path = saved(small_state())
    net = load_checkpoint(path)
    before = net.fingerprint()
    path.write_bytes(b"")  # nothing of the model lies in the file any more
    net.save_pretrained(tmp_path / "model")
    assert CompactNet.from_pretrained(tmp_path / "model").fingerprint() == before


# -- what is refused ------------------------------------------------------------------------------


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no checkpoint .*none\.pth"):
        load_checkpoint(tmp_path / "none.pth")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.7, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float, zipped: bool) -> None:
    path = tmp_path / "cut.pth"
    torch.save(small_state(), path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ModelError, match=r"cut\.pth"):
        load_checkpoint(path)


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("the trap was sprung",))


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_is_refused_and_not_run(
    tmp_path: Path, zipped: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trap.pth"
    torch.save({**small_state(), "x": Trap()}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match="be read safely"):
        load_checkpoint(path)
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ModelError, match="be read safely"):
        load_checkpoint(path)
    assert "sprung" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(3)], "holds a list"),
        ({}, "not named weights"),
        ({"params": 7}, "holds a int"),
        ({"params": small_state(), "params_ema": None}, "holds a NoneType"),
        ({"epoch": 3}, "'epoch' is a int, not a weight"),
        ({3: torch.zeros(3)}, "3 is a Tensor, not a weight"),
        (
            {"model.0.weight": torch.zeros(4, 3)},
            r"1 tensors \(model\.0\.weight \(4, 3\), …\).*known are CompactNet, RLFN, "
            r"RRDBNet, SPAN, TransformerNet, ResnetGenerator, MicroAST",
        ),
    ],
)
def test_something_else_is_refused(
    saved: Callable[[object], Path], content: object, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        load_checkpoint(saved(content))


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.zeros(1).expand(10**6, 10**6), r"claims \(1000000, 1000000\), more than the file"),
        (torch.eye(3).to_sparse(), "x is torch.sparse_coo of .*, not a dense weight"),
        (torch.zeros(3, dtype=torch.complex64), "complex64, not a dense weight"),
        (torch.zeros(3, device="meta"), "on meta, without values"),
    ],
    ids=["expanded", "sparse", "complex", "meta"],
)
def test_a_tensor_that_is_no_plain_block_of_numbers_is_refused(
    saved: Callable[[object], Path], tensor: Tensor, message: str
) -> None:
    with torch.inference_mode(False), pytest.raises(ModelError, match=message):
        load_checkpoint(saved({**small_state(), "x": tensor}))


def test_too_much_is_refused(
    saved: Callable[[object], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    many = {f"w{i}": torch.zeros(1) for i in range(2001)}
    with pytest.raises(ModelError, match="2,001 tensors; 2,000 are the most"):
        load_checkpoint(saved(many))
    shared = torch.zeros(1000)  # the file holds it once
    path = saved({f"w{i}": shared for i in range(100)})
    monkeypatch.setattr(checkpoints, "MAX_BYTES", 200_000)
    with pytest.raises(ModelError, match="weights are of more than 200,000 bytes"):
        load_checkpoint(path)
    monkeypatch.setattr(checkpoints, "MAX_BYTES", 1000)
    with pytest.raises(ModelError, match="bytes; 1,000 are the most"):
        load_checkpoint(path)


DAMAGES: dict[str, Callable[[State], object]] = {
    "missing": lambda s: s.pop("body.2.bias"),
    "first missing": lambda s: s.pop("body.0.bias"),
    "extra": lambda s: s.update(stowaway=torch.zeros(3)),
    "another shape": lambda s: s.update({"body.2.weight": torch.zeros(4, 4, 1, 1)}),
    "whole numbers": lambda s: s.update({"body.2.weight": s["body.2.weight"].long()}),
    "a number": lambda s: s.update({"body.0.weight": torch.tensor(3.0)}),
    "too wide": lambda s: s.update({"body.0.weight": torch.zeros(300, 3, 3, 3)}),
    "no factor": lambda s: s.update({"body.4.weight": torch.zeros(2, 4, 3, 3)}),
    "odd factor": lambda s: s.update({"body.4.weight": torch.zeros(15, 4, 3, 3)}),
    "NaN": lambda s: s["body.2.bias"].fill_(torch.nan),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_weights_that_do_not_fit_are_refused(saved: Callable[[object], Path], damage: str) -> None:
    state = small_state()
    DAMAGES[damage](state)
    with pytest.raises(ModelError, match=r"net\.pth"):
        load_checkpoint(saved(state))


@pytest.mark.parametrize("part", PARTS)
def test_microast_without_one_of_its_files_is_refused(four_files: Path, part: str) -> None:
    (four_files / f"{part}_iter_7.pth.tar").unlink()
    other = PARTS[PARTS.index(part) - 1]
    with pytest.raises(ModelError, match=rf"no checkpoint .*{part}_iter_7"):
        load_checkpoint(four_files / f"{other}_iter_7.pth.tar")


def test_a_part_of_microast_under_another_name_is_refused(four_files: Path) -> None:
    path = (four_files / "decoder_iter_7.pth.tar").rename(four_files / "net.pth")
    with pytest.raises(ModelError, match="part of MicroAST; its name must say which"):
        load_checkpoint(path)


# -- the real ones --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "scale", "psnr"),
    [
        ("teachers/rlfn_x4.pth", 4, 32.24),  # as published
        ("teachers/rlfn_x2.pth", 2, 38.07),
        ("peers/realesr-general-x4v3.pth", 4, 26.64),  # for bad photos, so less than bicubic
        ("peers/realesr-general-wdn-x4v3.pth", 4, 26.70),
    ],
)
def test_psnr_of_real_networks_on_set5(
    shared_data: Path, shared_weights: Path, file: str, scale: int, psnr: float
) -> None:
    net = load_checkpoint(shared_weights / file)
    figures = []
    for path in sorted((shared_data / "benchmarks" / "Set5").glob("*.png")):
        hr = hr_picture(path)
        lr = low_resolution(hr, scale)
        figures.append(psnr_y(net(lr.pixels[None])[0], hr.pixels, scale))
    assert fmean(figures) == pytest.approx(psnr, abs=0.02)


@pytest.mark.slow
def test_real_style_networks_come_near_their_painting(
    shared_data: Path, shared_weights: Path
) -> None:
    judge = SqueezeJudge(shared_weights / "squeezenet1_1-features.safetensors")
    photo = hr_picture(next((shared_data / "eval_photos").glob("*dog*"))).pixels
    photo = photo[None, :, :384, :384]
    work = hr_picture(shared_data / "styles" / "picabia_udnie.jpg").pixels[None]
    peers = shared_weights / "peers"
    microast = load_checkpoint(peers / "microast-decoder_iter_160000.pth.tar")
    painted = [
        load_checkpoint(peers / "fast-neural-style-udnie.pth")(photo),
        microast(photo, work),
    ]
    goal = judge.look(work[0])
    unpainted = judge.style(judge.look(photo[0]), goal)
    for result in painted:
        seen = judge.look(result[0].clamp(0, 1))
        assert judge.style(seen, goal) < 0.5 * unpainted
        assert judge.content(seen, judge.look(photo[0])) < 1.2
