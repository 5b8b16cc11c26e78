"""StyleSRNet as ONNX, for programs without torch and for the page in a browser.

    stylesr export starry-night exported

A graph for each factor, of a few kilobytes; their weights are one file beside them, the same for
all factors. So a program can blend the weights of two styles number by number, as `blending` does,
and give the sum to the same graphs.

Each graph takes `image`, float32 (1, 3, H, W), RGB in [0, 1], H and W multiples of the factor's
block, and, if the network was made with noise, `noise`, float32 (1, levels, H/block, W/block) as
`noise_field` makes it; it returns `result`, float32 (1, 3, H·factor, W·factor), about [0, 1]. Its
metadata tells the factor, the block, the receptive field, the levels of noise and the weights'
SHA-256.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from onnx import TensorProto, helper

from stylesr.errors import InputError, ModelError
from stylesr.files import check_unused
from stylesr.models.base import Generator
from stylesr.models.stylesr_net import StyleSRNet

__all__ = ["WEIGHTS", "DType", "export", "graph", "graph_file", "layout"]

DType: TypeAlias = Literal["float32", "float16"]

WEIGHTS = "weights.bin"  # the parameters in the order of `layout`, little-endian, without gaps
OPSET = 18
KINDS = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}


def export(
    model: str | Path | StyleSRNet, folder: str | Path, dtype: DType = "float32"
) -> list[Path]:
    """Write a StyleSRNet's graphs and weights.

    Args:
        model: a released name, a folder, a Hub id, or the network itself.
        folder: a new or empty one.
        dtype: of the weights and of the arithmetic; what goes in and comes out is float32.

    Returns:
        The files: x1.onnx, x2.onnx, x4.onnx and weights.bin.

    Raises:
        InputError: another dtype, or the folder is in use.
        ModelError, HubError: the model cannot be loaded, or is no StyleSRNet.
    """
    if dtype not in get_args(DType):
        raise InputError(f"dtype must be {' or '.join(get_args(DType))}, got {dtype!r}")
    net = model if isinstance(model, StyleSRNet) else Generator.from_pretrained(model)
    if not isinstance(net, StyleSRNet):
        raise ModelError(f"{model} is of the class {type(net).__name__}; exported is StyleSRNet")
    folder = Path(folder)
    check_unused(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = net.state_dict()
    values = [state[name].detach().float().cpu().numpy().ravel() for name in layout(net)]
    (folder / WEIGHTS).write_bytes(np.concatenate(values).astype(dtype).tobytes())
    for scale in net.scales:
        (folder / graph_file(scale)).write_bytes(graph(net, scale, dtype))
    return sorted(folder.iterdir())


def graph_file(scale: int) -> str:
    """The name of a factor's graph."""
    return f"x{scale}.onnx"


def layout(net: StyleSRNet) -> dict[str, int]:
    """Names of the parameters in the order of the weights' file, and how many numbers each has."""
    return {name: tensor.numel() for name, tensor in net.state_dict().items()}


def graph(net: StyleSRNet, scale: int, dtype: DType = "float32") -> bytes:
    """One factor's graph, the bytes of an ONNX file whose weights are in another one."""
    drawn = _Graph(net, dtype)
    block, is_half = net.multiple_of(scale), dtype == "float16"
    image = drawn.add("Cast", "image", to=KINDS[dtype]) if is_half else "image"
    features = drawn.conv(f"stems.{scale}", _unshuffled(drawn, image, block))
    if net.noise_levels:
        noise = drawn.add("Cast", "noise", to=KINDS[dtype]) if is_half else "noise"
        features = drawn.add("Add", features, drawn.conv("noise", noise))
    result = features
    for k in range(len(net.trunk)):
        inner = drawn.add("Relu", drawn.conv(f"trunk.{k}.conv1", result))
        result = drawn.add("Add", drawn.conv(f"trunk.{k}.conv2", inner), result)
    result = drawn.add("Add", result, features)
    for name in ("up1.0", "up2.0"):
        result = drawn.add("LeakyRelu", drawn.shuffle(drawn.conv(name, result), 2), alpha=0.1)
    skip = image
    if scale > 1:
        padded = drawn.add("Pad", image, drawn.constant([0, 0, 2, 2, 0, 0, 2, 2]), mode="edge")
        skip = drawn.shuffle(drawn.conv(f"skips.{scale}", padded, padding=0), scale)
    skip = drawn.add("Mul", skip, drawn.weight("skip_gain"))
    result = drawn.add("Add", drawn.conv("last", result), skip, output="" if is_half else "result")
    if is_half:
        drawn.add("Cast", result, output="result", to=TensorProto.FLOAT)
    return drawn.finish(scale)


def _unshuffled(drawn: "_Graph", image: str, block: int) -> str:
    """`F.pixel_unshuffle`: ONNX has the same with the colours innermost, torch outermost."""
    if block == 1:
        return image
    folded = drawn.add("SpaceToDepth", image, blocksize=block)
    order = np.arange(3 * block**2).reshape(block**2, 3).T.ravel()
    return drawn.add("Gather", folded, drawn.constant(order.tolist()), axis=1)


class _Graph:
    """Nodes as they are added, each named by its output."""

    def __init__(self, net: StyleSRNet, dtype: DType) -> None:
        self.net, self.dtype = net, dtype
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.weights: dict[str, Any] = {}
        self._state = net.state_dict()
        size, start = np.dtype(dtype).itemsize, 0
        self._places: dict[str, tuple[int, int]] = {}  # offset and length in bytes
        for name, count in layout(net).items():
            self._places[name] = start * size, count * size
            start += count

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """A node; the name of its output."""
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def conv(self, name: str, x: str, padding: int = 1) -> str:
        """A convolution of the network, with its bias if it has one."""
        parts = [f"{name}.{part}" for part in ("weight", "bias")]
        inputs = [self.weight(part) for part in parts if part in self._state]
        return self.add("Conv", x, *inputs, pads=[padding] * 4)

    def shuffle(self, x: str, factor: int) -> str:
        """`F.pixel_shuffle`."""
        return self.add("DepthToSpace", x, blocksize=factor, mode="CRD")

    def constant(self, values: Sequence[int]) -> str:
        """Whole numbers, held by the graph itself."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(helper.make_tensor(name, TensorProto.INT64, [len(values)], values))
        return name

    def weight(self, name: str) -> str:
        """A parameter, held by the file of weights."""
        tensor = TensorProto(name=name, data_type=KINDS[self.dtype], dims=self._state[name].shape)
        tensor.data_location = TensorProto.EXTERNAL
        offset, length = self._places[name]
        for key, value in {"location": WEIGHTS, "offset": offset, "length": length}.items():
            tensor.external_data.add(key=key, value=str(value))
        self.weights[name] = tensor
        return name

    def finish(self, scale: int) -> bytes:
        """The file."""
        net, inputs = self.net, [_value("image", 3, "height", "width")]
        if net.noise_levels:
            inputs.append(_value("noise", net.noise_levels, "rows", "columns"))
        drawn = helper.make_graph(
            self.nodes,
            f"StyleSRNet_x{scale}",
            inputs,
            [_value("result", 3, "result_height", "result_width")],
            [*self.weights.values(), *self.constants],
        )
        model = helper.make_model(
            drawn,
            producer_name="stylesr",
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=10,
        )
        about = {
            "scale": scale,
            "block": net.multiple_of(scale),
            "receptive_field": net.receptive_field(scale),
            "noise_levels": net.noise_levels,
            "weights_sha256": net.fingerprint(),
        }
        helper.set_model_props(model, {key: str(value) for key, value in about.items()})
        return model.SerializeToString()


def _value(name: str, channels: int, height: str, width: str) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, height, width])
