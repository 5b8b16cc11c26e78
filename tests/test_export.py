"""StyleSRNet as ONNX: the same pictures as from torch, at any size."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from stylesr import cli
from stylesr.blending import strength
from stylesr.errors import InputError, ModelError
from stylesr.export import WEIGHTS, DType, export, graph_file, layout
from stylesr.models import SRCNN
from stylesr.models.stylesr_net import StyleSRNet, noise_field
from tests import tiny


@pytest.fixture(scope="module")
def style() -> StyleSRNet:
    return tiny.style(tiny.photo(), 1)


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options)


def difference(net: StyleSRNet, folder: Path, scale: int, rows: int, columns: int) -> float:
    """The largest between torch and onnxruntime, for a window somewhere in a picture."""
    block = net.multiple_of(scale)
    x = torch.rand(
        (1, 3, rows * block, columns * block), generator=torch.Generator().manual_seed(5)
    )
    feeds = {"image": x.numpy()}
    if net.noise_levels:
        noise = noise_field(rows, columns, net.noise_levels, 7, (5, 9))
        feeds["noise"] = noise.numpy()
    with torch.inference_mode():
        expected = net(x, scale, seed=7, origin=(5 * block, 9 * block)).numpy()
    (result,) = session(folder / graph_file(scale)).run(["result"], feeds)
    assert result.shape == expected.shape and result.dtype == np.float32
    return float(np.abs(result - expected).max())


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float16", 5e-3)])
def test_every_factor_at_any_size_equals_torch(
    style: StyleSRNet, tmp_path: Path, dtype: DType, tolerance: float
) -> None:
    paths = export(style, tmp_path, dtype)
    assert [path.name for path in paths] == [WEIGHTS, "x1.onnx", "x2.onnx", "x4.onnx"]
    for scale in style.scales:
        onnx.checker.check_model(tmp_path / graph_file(scale), full_check=True)
        for size in [(4, 4), (7, 12), (23, 5)]:
            assert difference(style, tmp_path, scale, *size) < tolerance, (scale, size)


@pytest.mark.parametrize("name", ["photo", "starry-night"])
def test_a_released_model_equals_torch(name: str, tmp_path: Path) -> None:
    export(name, tmp_path)
    net = StyleSRNet.from_pretrained(name).eval()
    for scale in net.scales:
        assert difference(net, tmp_path, scale, 9, 14) < 1e-5


def test_a_network_without_noise_takes_none(tmp_path: Path) -> None:
    net = StyleSRNet(channels=8, blocks=2, tail_channels=(4, 4), noise_levels=0).eval()
    torch.nn.init.normal_(net.last.weight, std=0.1)
    export(net, tmp_path)
    assert difference(net, tmp_path, 4, 6, 5) < 1e-5
    assert [i.name for i in session(tmp_path / "x1.onnx").get_inputs()] == ["image"]


def test_weights_can_be_blended_in_their_file(style: StyleSRNet, tmp_path: Path) -> None:
    photo = tiny.photo()
    export(style, tmp_path / "style")
    export(photo, tmp_path / "photo")
    files = [tmp_path / name / WEIGHTS for name in ("photo", "style")]
    first, second = (np.fromfile(path, np.float32) for path in files)
    assert first.size == sum(layout(photo).values())
    (0.7 * first + 0.3 * second).astype(np.float32).tofile(files[0])
    assert difference(strength(photo, style, 0.3), tmp_path / "photo", 2, 8, 8) < 1e-5


def test_graphs_tell_what_they_need(style: StyleSRNet, tmp_path: Path) -> None:
    export(style, tmp_path)
    about = session(tmp_path / "x2.onnx").get_modelmeta().custom_metadata_map
    assert about == {
        "scale": "2",
        "block": "2",
        "receptive_field": str(style.receptive_field(2)),
        "noise_levels": "3",
        "weights_sha256": style.fingerprint(),
    }
    assert (tmp_path / "x2.onnx").stat().st_size < 10_000


def test_what_cannot_be_exported_is_refused(style: StyleSRNet, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="dtype must be float32 or float16, got 'int8'"):
        export(style, tmp_path / "new", "int8")  # type: ignore[arg-type]
    SRCNN().save_pretrained(tmp_path / "srcnn")
    with pytest.raises(ModelError, match="is of the class SRCNN; exported is StyleSRNet"):
        export(tmp_path / "srcnn", tmp_path / "new")
    with pytest.raises(InputError, match="is in use; give a new or empty folder"):
        export(style, tmp_path)
    assert not (tmp_path / "new").exists()


def test_the_command_exports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", "photo", str(tmp_path / "out"), "--dtype", "float16"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in (WEIGHTS, "x1.onnx", "x2.onnx", "x4.onnx"))
    assert (tmp_path / "out" / WEIGHTS).stat().st_size == 2 * sum(
        layout(StyleSRNet.from_pretrained("photo")).values()
    )
