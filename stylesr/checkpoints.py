"""Community checkpoints: a `.pth` of a known architecture becomes a `Generator` of ours.

    net = load_checkpoint("realesr-general-x4v3.pth")
    net.save_pretrained("my-upscaler")  # config.json and safetensors, like every model here

The architecture and its sizes are read from the names and shapes of the weights. Pickles are
opened with `weights_only=True`, so that none can run code. For a file whose origin is in doubt,
`stylesr.importing` does the same in a process of its own.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from stylesr.errors import InputError, ModelError
from stylesr.models import (
    RLFN,
    SPAN,
    CompactNet,
    Generator,
    MicroAST,
    ResnetGenerator,
    RRDBNet,
    TransformerNet,
)
from stylesr.models.base import check_kinds

__all__ = ["files_of", "load_checkpoint"]

MAX_BYTES = 500_000_000  # of a file, and of its weights
MAX_TENSORS = 2000

State: TypeAlias = dict[str, Tensor]
Rules: TypeAlias = Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]


def load_checkpoint(path: str | Path) -> Generator:
    """Load the weights of a known architecture, as float32 on the CPU and in eval mode.

    Known are CompactNet (Real-ESRGAN's SRVGGNetCompact with PReLU), RLFN, RRDBNet (by the names
    of BasicSR and Real-ESRGAN, of BSRGAN, and of the first ESRGAN), SPAN (its branches are fused),
    TransformerNet (fast neural style, as in pytorch/examples), ResnetGenerator (CycleGAN's, also
    with dropout and with the running statistics of old files) and MicroAST. The last is published
    in four files, for content encoder, style encoder, modulator and decoder: give any of them, and
    the others are taken from beside it.

    Args:
        path: of a file written by `torch.save`. The weights may be under `params_ema`, which is
            preferred, under `params`, or bare.

    Raises:
        ModelError: no such file, not a readable checkpoint, an unknown architecture, or weights
            that do not fit it exactly.
    """
    path = Path(path)
    state = _read(path)
    if any(mark in state for mark in MICROAST_MARKS):
        state = _gather_microast(path)
    for known in KNOWN:
        if known.mark in state:
            return _build(known, state, path)
    shown = ", ".join(f"{name} {tuple(t.shape)}" for name, t in list(state.items())[:3])
    raise ModelError(
        f"{path} holds {len(state)} tensors ({shown}, …) of an unknown architecture; "
        f"known are {', '.join(dict.fromkeys(known.model.__name__ for known in KNOWN))}"
    )


@dataclass(frozen=True)
class _Architecture:
    """How a community's checkpoint becomes a model.

    Attributes:
        mark: a weight that only this architecture has.
        config: the constructor's keywords, from the community's names and shapes.
        rules: pattern and replacement for each change of a name, applied in order.
        dropped: pattern of names that the model has no use for.
        convert: makes of the weights those that the model has, before names are changed.
    """

    model: type[Generator]
    mark: str
    config: Callable[[State], dict[str, Any]]
    rules: Rules = ()
    dropped: str = r"(?!)"  # none
    convert: Callable[[State], State] = dict

    def rename(self, name: str) -> str:
        """Our name of a community's weight."""
        for pattern, replacement in self.rules:
            name = re.sub(pattern, replacement, name)
        return name


def _build(known: _Architecture, state: State, path: Path) -> Generator:
    state = {name: t for name, t in state.items() if not re.fullmatch(known.dropped, name)}
    try:
        model = known.model(**known.config(state))
        state = {known.rename(name): t for name, t in known.convert(state).items()}
        check_kinds(path, model, state)
        model.load_state_dict(state)
    except KeyError as error:
        raise ModelError(
            f"{path} looks like {known.model.__name__}, but has no {error.args[0]}"
        ) from error
    except (InputError, TypeError, RuntimeError) as error:
        raise ModelError(f"{path} does not fit {known.model.__name__}: {error}") from error
    return model.eval()


# -- the file -------------------------------------------------------------------------------------


def _read(path: Path) -> State:
    """The weights of a file by name, floating-point ones as float32."""
    if not path.is_file():
        raise ModelError(f"there is no checkpoint {str(path)!r}")
    if path.stat().st_size > MAX_BYTES:
        raise ModelError(f"{path} has {path.stat().st_size:,} bytes; {MAX_BYTES:,} are the most")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile pickle raises nearly anything
        first = (str(error).splitlines() or [""])[0]
        raise ModelError(
            f"{path} is not a checkpoint that can be read safely: {type(error).__name__}: {first}"
        ) from error
    for key in ("params_ema", "params"):
        if isinstance(found, Mapping) and key in found:
            found = found[key]
            break
    if not isinstance(found, Mapping) or not found:
        raise ModelError(f"{path} holds a {type(found).__name__}, not named weights")
    if len(found) > MAX_TENSORS:
        raise ModelError(f"{path} holds {len(found):,} tensors; {MAX_TENSORS:,} are the most")
    left = MAX_BYTES
    for name, tensor in found.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise ModelError(f"{path}: {name!r} is a {type(tensor).__name__}, not a weight")
        _check_dense(path, name, tensor)
        left -= tensor.numel() * tensor.element_size()
        if left < 0:
            raise ModelError(f"{path}: its weights are of more than {MAX_BYTES:,} bytes")
    state: State = {}
    for name, tensor in found.items():
        state[name] = tensor.float() if tensor.is_floating_point() else tensor
        if not bool(state[name].isfinite().all()):
            raise ModelError(f"{path}: {name} has values that are not finite")
    return state


def _check_dense(path: Path, name: str, tensor: Tensor) -> None:
    """Refuse what is no plain block of numbers, before a number of it is looked at."""
    kind = tensor.dtype
    if tensor.layout != torch.strided or tensor.is_quantized or kind.is_complex:
        raise ModelError(f"{path}: {name} is {tensor.layout} of {kind}, not a dense weight")
    if tensor.device.type != "cpu":
        raise ModelError(f"{path}: {name} is on {tensor.device}, without values")
    if tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
        raise ModelError(f"{path}: {name} claims {tuple(tensor.shape)}, more than the file holds")


MICROAST_PARTS = ("content_encoder", "style_encoder", "modulator", "decoder")
MICROAST_MARKS = (
    "enc1.0.conv_layer.weight",  # of both encoders
    "weight1.0.conv_layer.weight",
    "dec1.conv1.conv_layer.weight",
)


def _gather_microast(path: Path) -> State:
    """The weights of all four files, each name after its part's."""
    files = _microast_files(path)
    if not files:
        raise ModelError(
            f"{path} is a part of MicroAST; its name must say which: {', '.join(MICROAST_PARTS)}"
        )
    return {f"{p}.{name}": t for p, file in files.items() for name, t in _read(file).items()}


def _microast_files(path: Path) -> dict[str, Path]:
    """The four files by part; none where the name does not say which it is."""
    part = next((part for part in MICROAST_PARTS if part in path.name), None)
    if part is None:
        return {}
    return {other: path.with_name(path.name.replace(part, other)) for other in MICROAST_PARTS}


def files_of(path: Path, model: Generator) -> list[Path]:
    """The files from which `load_checkpoint` has read a model."""
    return list(_microast_files(path).values()) if isinstance(model, MicroAST) else [path]


# -- the architectures ----------------------------------------------------------------------------


def _count(state: State, pattern: str) -> int:
    """The number of different first groups of a pattern that matches names."""
    return len({match[1] for name in state if (match := re.match(pattern, name))})


def _factor(weight: Tensor) -> int:
    """The factor of a pixel shuffle to RGB, from the convolution before it."""
    return math.isqrt(len(weight) // 3)


def _compact_config(state: State) -> dict[str, Any]:
    convolutions = _count(state, r"body\.(\d+)\.bias")  # the PReLUs between have none
    last = state[f"body.{2 * (convolutions - 1)}.weight"]
    return {
        "channels": len(state["body.0.weight"]),
        "convolutions": convolutions - 2,
        "scale": _factor(last),
    }


def _rlfn_config(state: State) -> dict[str, Any]:
    return {
        "channels": len(state["conv_1.weight"]),
        "blocks": _count(state, r"block_(\d+)\."),
        "attention_channels": len(state["block_1.esa.conv1.weight"]),
        "scale": _factor(state["upsampler.0.weight"]),
    }


def _rrdb_config(state: State) -> dict[str, Any]:
    first = next(t for name, t in state.items() if re.match(r"(conv_first|model\.0)\.weight", name))
    growth = next(t for name, t in state.items() if re.search(r"(?i)rdb1\.conv1\.", name))
    folded = {3: 4, 12: 2, 48: 1}
    if first.shape[1] not in folded:
        raise InputError(f"its first convolution takes {first.shape[1]} channels, not 3, 12 or 48")
    return {
        "channels": len(first),
        "blocks": _count(state, r"(?:body|RRDB_trunk|model\.1\.sub)\.(\d+)\.(?:rdb|RDB)"),
        "growth": len(growth),
        "scale": folded[first.shape[1]],
    }


def _span_config(state: State) -> dict[str, Any]:
    return {
        "channels": len(state["conv_2.sk.weight"]),
        "scale": _factor(state["upsampler.0.weight"]),
        "centred": "no_norm" not in state,
    }


def _fused(state: State) -> State:
    """SPAN's 3×3 convolutions of its branches: 1×1, 3×3 and 1×1 in a row beside one of 1×1."""
    branches = r"\.(sk|conv\.\d|eval_conv)\.|no_norm"  # eval_conv is what a training fused last
    plain = {name: t for name, t in state.items() if not re.search(branches, name)}
    for name in {match[1] for n in state if (match := re.match(r"(.*)\.sk\.", n))}:
        parts = {
            part: (state[f"{name}.{part}.weight"], state[f"{name}.{part}.bias"])
            for part in ("conv.0", "conv.1", "conv.2", "sk")
        }
        (w0, b0), (w1, b1), (w2, b2), (ws, bs) = parts.values()
        before, after = w0[:, :, 0, 0], w2[:, :, 0, 0]
        weight = torch.einsum("om,mcyx,ci->oiyx", after, w1, before) + F.pad(ws, (1, 1, 1, 1))
        plain[f"{name}.weight"] = weight
        plain[f"{name}.bias"] = after @ (w1.sum((2, 3)) @ b0 + b1) + b2 + bs
    return plain


def _transformer_config(state: State) -> dict[str, Any]:
    return {
        "channels": len(state["conv1.conv2d.weight"]),
        "blocks": _count(state, r"res(\d+)\."),
    }


def _resnet_config(state: State) -> dict[str, Any]:
    return {
        "channels": len(state["model.1.weight"]),
        "blocks": _count(state, r"model\.(\d+)\.conv_block\."),
    }


def _by_place(state: State) -> State:
    """ResnetGenerator's weights by our names: upstream counts its layers, whatever they are."""
    blocks = _resnet_config(state)["blocks"]
    ours = {1: "encoder.0", 4: "encoder.3", 7: "encoder.6"}
    ours |= {10 + blocks: "decoder.0", 13 + blocks: "decoder.3", 17 + blocks: "decoder.6"}

    def rename(name: str) -> str:
        if match := re.fullmatch(r"model\.(\d+)\.(weight|bias)", name):
            return f"{ours.get(int(match[1]), match[0])}.{match[2]}"
        if match := re.fullmatch(r"model\.(\d+)\.conv_block\.(\d)\.(weight|bias)", name):
            layer = 0 if match[2] == "1" else 3  # the second is 6 where dropout lies between
            return f"blocks.{int(match[1]) - 10}.layers.{layer}.{match[3]}"
        return name

    return {rename(name): tensor for name, tensor in state.items()}


def _microast_config(state: State) -> dict[str, Any]:
    return {"channels": len(state["content_encoder.enc1.0.conv_layer.weight"])}


def _number(template: str, step: int = 1) -> Callable[[re.Match[str]], str]:
    """Replaces a pattern that ends in a number n, counted from 1, by one with (n - 1) · step."""
    return lambda match: template.format((int(match[1]) - 1) * step)


KNOWN = (
    _Architecture(CompactNet, "body.0.weight", _compact_config),
    _Architecture(
        RLFN,
        "block_1.c1_r.weight",
        _rlfn_config,
        (
            (r"^conv_1", "first"),
            (r"^conv_2", "last"),
            (r"^upsampler\.0", "upsampler"),
            (r"^block_(\d+)", _number("blocks.{}")),
            (r"c([123])_r", r"conv\1"),
            (r"c5", "mix"),
            (r"esa\.conv1", "attention.reduce"),
            (r"esa\.conv2", "attention.down"),
            (r"esa\.conv3", "attention.coarse"),
            (r"esa\.conv4", "attention.expand"),
            (r"esa\.conv_f", "attention.fine"),
        ),
    ),
    _Architecture(RRDBNet, "body.0.rdb1.conv1.weight", _rrdb_config),
    _Architecture(
        RRDBNet,
        "RRDB_trunk.0.RDB1.conv1.weight",
        _rrdb_config,
        (
            (r"^RRDB_trunk", "body"),
            (r"RDB([123])", r"rdb\1"),
            (r"^trunk_conv", "conv_body"),
            (r"^upconv([12])", r"conv_up\1"),
            (r"^HRconv", "conv_hr"),
        ),
    ),
    _Architecture(
        RRDBNet,
        "model.1.sub.0.RDB1.conv1.0.weight",
        _rrdb_config,
        (
            (r"^model\.1\.sub\.(\d+)\.RDB([123])\.(conv[1-5])\.0", r"body.\1.rdb\2.\3"),
            (r"^model\.1\.sub\.\d+\.", "conv_body."),
            (r"^model\.0\.", "conv_first."),
            (r"^model\.3\.", "conv_up1."),
            (r"^model\.6\.", "conv_up2."),
            (r"^model\.8\.", "conv_hr."),
            (r"^model\.10\.", "conv_last."),
        ),
    ),
    _Architecture(
        SPAN,
        "block_1.c1_r.sk.weight",
        _span_config,
        (
            (r"^conv_1\.", "first."),
            (r"^conv_2\.", "last."),
            (r"^conv_cat", "mix"),
            (r"^upsampler\.0", "upsampler"),
            (r"^block_(\d+)", _number("blocks.{}")),
            (r"c([123])_r", r"conv\1"),
        ),
        convert=_fused,
    ),
    _Architecture(
        TransformerNet,
        "deconv1.conv2d.weight",
        _transformer_config,
        (
            (r"^conv(\d+)\.conv2d", _number("encoder.{}.conv", 2)),
            (r"^in([123])\.", _number("encoder.{}.norm.", 2)),
            (r"^res(\d+)", _number("blocks.{}")),
            (r"\.conv([12])\.conv2d", r".conv\1.conv"),
            (r"\.in([12])", r".conv\1.norm"),
            (r"^deconv1\.conv2d", "decoder.1.conv"),
            (r"^deconv2\.conv2d", "decoder.4.conv"),
            (r"^deconv3\.conv2d", "decoder.6"),
            (r"^in4\.", "decoder.1.norm."),
            (r"^in5\.", "decoder.4.norm."),
        ),
        dropped=r"(.*\.)?in\d+\.running_(mean|var)",  # of old files: it reads each picture's own
    ),
    _Architecture(
        ResnetGenerator,
        "model.10.conv_block.1.weight",
        _resnet_config,
        dropped=r".*\.(running_(mean|var)|num_batches_tracked)",  # of old files
        convert=_by_place,
    ),
    _Architecture(
        MicroAST,
        "content_encoder.enc1.0.conv_layer.weight",
        _microast_config,
        (
            (r"\.conv_layer", ""),
            (r"\.enc1", ".shallow"),
            (r"\.enc2\.0", ".deep"),
            (r"\.weight(\d)\.0", _number(".weights.{}")),
            (r"\.bias(\d)\.0", _number(".biases.{}")),
            (r"\.dec1", ".deep"),
            (r"\.dec2", ".shallow"),
            (r"\.dec3", ".up"),
        ),
    ),
)
