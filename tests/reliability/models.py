"""Model folders that are damaged and checkpoints that are hostile: is each refused, and how.

    python -m tests.reliability.models

Damaged folders start from a released model of each architecture that has one. Every tensor in turn
is left out, renamed, cut, given one more axis, filled with NaN and stored as whole numbers and as
floats of 8 bits; every value of config.json is replaced by what no network takes; files are cut
off and left out. Right is a `ModelError` that names the tensor or the key; a network that is
returned all the same, whatever its weights, is a fault.

Hostile checkpoints are pickles, written opcode by opcode, that call a function which leaves a file:
each of the functions by which pickles are known to run code, by each of the opcodes that call, in
each of the containers that `torch.load` opens, under each usual ending. How many do leave the file
where it opens them without `weights_only` is counted first. `load_checkpoint` reads them, `stylesr
import` a part of them, and `Generator.from_pretrained` finds them where weights should be.
"""

import io
import json
import pickle
import struct
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from stylesr.checkpoints import load_checkpoint
from stylesr.errors import ModelError
from stylesr.hub import bundled_folder, bundled_names
from stylesr.importing import import_checkpoint
from stylesr.models import Generator
from tests.models.contract import edit_config
from tests.reliability import apart
from tests.test_checkpoints import small_state

State = dict[str, Tensor]


def main(arguments: Sequence[str] | None = None) -> int:
    """Go through them, print two tables; 1 where something was loaded, or ran."""
    torch.set_num_threads(1)
    with TemporaryDirectory() as home:
        wrong = damaged_folders(Path(home)) + hostile_files(Path(home))
    print("\n".join(wrong), file=sys.stderr)
    return 1 if wrong else 0


# -- damaged folders ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Damage:
    """A folder to load, and what the error has to name."""

    folder: Path
    named: str


def damaged_folders(home: Path) -> list[str]:
    """Print how many are refused; what is not."""
    print(
        "| Architecture | Model | Damages | Refused | Refused, not naming it | Loaded | Untyped |"
    )
    print("|---|---|---|---|---|---|---|")
    wrong = []
    released = {}
    for name in bundled_names():
        config = json.loads((bundled_folder() / name / "config.json").read_text())
        released.setdefault(config["class_name"], name)
    for kind, name in sorted(released.items()):
        good = home / name
        Generator.from_pretrained(name).save_pretrained(good)
        outcomes = list(apart.each(load, damages(good, home / "damaged")))
        kinds = [outcome.kind for outcome in outcomes]
        # `load` refuses by name; an error that names something else comes back as its detail
        vague = sum(outcome.detail.startswith("vague") for outcome in outcomes)
        counts = (
            len(outcomes),
            kinds.count("refused"),
            vague,
            kinds.count("done"),
            len(outcomes) - kinds.count("refused") - kinds.count("done") - vague,
        )
        row = " | ".join(f"{count:,}" for count in counts)
        print(f"| {kind} | {name} | {row} |", flush=True)
        wrong += apart.faults(outcomes)
        wrong += [f"loaded: {o.name} of {name}" for o in outcomes if o.kind == "done"]
    return wrong


def load(damage: Damage) -> None:
    """Load a damaged folder; its error names what is wrong."""
    try:
        Generator.from_pretrained(damage.folder)
    except ModelError as error:
        if damage.named not in str(error):
            raise AssertionError(f"vague: {damage.named} is not in {error}") from error
        raise


def damages(good: Path, folder: Path) -> Iterator[tuple[str, Damage]]:
    """One after the other, in one place."""
    state = load_file(good / "model.safetensors")
    for name in state:
        for what, change in TENSORS.items():
            changed = dict(state)
            change(changed, name)
            yield f"{name} {what}", _made(good, folder, name, state=changed)
    config = json.loads((good / "config.json").read_text())
    for key in config:
        for value in (-1, 10**9, 0.5, "x", "", [], {}, [10**9], float("nan"), True):
            if value == "x" and key == "base":  # any name may be a base's
                continue
            if value is True and isinstance(config[key], bool):  # right for a switch
                continue
            named = {"class_name": "holds a", "base_sha256": "base"}.get(key, key)
            yield f"config {key} = {value!r}", _made(good, folder, named, config={key: value})
    yield "unknown key", _made(good, folder, "warp", config={"warp": 9})
    yield "extra tensor", _made(good, folder, "stowaway", state={**state, "stowaway": _three()})
    for file in ("config.json", "model.safetensors"):
        data = (good / file).read_bytes()
        yield f"no {file}", _made(good, folder, file, files={file: None})
        for share in (0, 0.001, 0.1, 0.5, 0.9, 0.98):
            cut = data[: int(share * len(data))]
            yield f"{file} to {share}", _made(good, folder, file, files={file: cut})
        yield f"{file} is a ZIP", _made(good, folder, file, files={file: b"PK\3\4" + data})
    header = struct.pack("<Q", 2**63) + data[8:]
    yield "header of 2⁶³", _made(good, folder, file, files={file: header})


TENSORS: dict[str, Callable[[State, str], object]] = {
    "missing": lambda state, name: state.pop(name),
    "renamed": lambda state, name: state.update({f"{name}_": state.pop(name)}),
    "cut": lambda state, name: state.update({name: state[name].flatten()[1:].clone()}),
    "with one more axis": lambda state, name: state.update({name: state[name][None]}),
    "with a NaN": lambda state, name: state.update({name: _spoilt(state[name], torch.nan)}),
    "infinite": lambda state, name: state.update({name: _spoilt(state[name], torch.inf)}),
    "of whole numbers": lambda state, name: state.update({name: state[name].to(torch.int32)}),
    "of 8 bits": lambda state, name: state.update({name: state[name].to(torch.float8_e4m3fn)}),
}


def _spoilt(tensor: Tensor, value: float) -> Tensor:
    spoilt = tensor.clone()
    spoilt.view(-1)[-1] = value
    return spoilt


def _three() -> Tensor:
    return torch.zeros(3)


def _made(
    good: Path,
    folder: Path,
    named: str,
    *,
    state: State | None = None,
    config: dict[str, Any] | None = None,
    files: dict[str, bytes | None] | None = None,
) -> Damage:
    rmtree(folder, ignore_errors=True)
    copytree(good, folder)
    if state is not None:
        save_file(state, folder / "model.safetensors")
    if config is not None:
        edit_config(folder, **config)
    for file, data in (files or {}).items():
        (folder / file).unlink() if data is None else (folder / file).write_bytes(data)
    return Damage(folder, named)


# -- hostile checkpoints --------------------------------------------------------------------------

# module, function, arguments; {} is the file to be left
GADGETS: dict[str, tuple[str, str, tuple[Any, ...]]] = {
    "os.system": ("os", "system", ("touch {}",)),
    "posix.system": ("posix", "system", ("touch {}",)),
    "os.popen": ("os", "popen", ("touch {}",)),
    "os.mkdir": ("os", "mkdir", ("{}",)),
    "subprocess.call": ("subprocess", "call", (["touch", "{}"],)),
    "subprocess.check_output": ("subprocess", "check_output", (["touch", "{}"],)),
    "builtins.eval": ("builtins", "eval", ("open('{}', 'w')",)),
    "builtins.exec": ("builtins", "exec", ("open('{}', 'w')",)),
    "__builtin__.eval": ("__builtin__", "eval", ("open('{}', 'w')",)),
    "builtins.open": ("builtins", "open", ("{}", "w")),
    "io.open": ("io", "open", ("{}", "w")),
    "pathlib.Path.touch": ("pathlib", "Path.touch", ()),  # its argument is made by a call
    "runpy._run_code": ("runpy", "_run_code", ("open('{}', 'w')", {})),
    "timeit.timeit": ("timeit", "timeit", ("1", "open('{}', 'w')")),
    "cProfile.run": ("cProfile", "run", ("open('{}', 'w')",)),
    "tarfile.open": ("tarfile", "open", ("{}", "w")),
    "sqlite3.connect": ("sqlite3", "connect", ("{}",)),
    "logging.FileHandler": ("logging", "FileHandler", ("{}",)),
    "torch.save": ("torch", "save", ([1], "{}")),
    "numpy.savetxt": ("numpy", "savetxt", ("{}", [1])),
}
ENDINGS = (".pth", ".pt", ".ckpt", ".bin")


def hostile_files(home: Path) -> list[str]:
    """Print how many are refused; what is not."""
    canary = home / "canary"
    pickles = {f"{g} by {o}": make(g, str(canary)) for g in GADGETS for o, make in OPCODES.items()}
    files = list(_hostile(pickles))
    sprung = sum(_is_left(canary) for _ in apart.each(_carelessly, _written(files, home)))
    print(f"\n{sprung} of {len(files)} files do what they say where torch.load trusts them.\n")
    print("| Read by | Files | Refused | Loaded | Untyped | Crashed or hung | Files left |")
    print("|---|---|---|---|---|---|---|")
    wrong = [] if sprung else ["no file does anything: they prove nothing"]
    readers: dict[str, tuple[Callable[[Path], object], int]] = {
        "load_checkpoint": (load_checkpoint, 1),
        "Generator.from_pretrained": (_as_weights, 5),
        "stylesr import": (_imported, 60),
    }
    for reader, (work, step) in readers.items():
        outcomes, left = [], 0
        for outcome in apart.each(work, _written(files[::step], home)):
            outcomes.append(outcome)
            if _is_left(canary):
                left += 1
                wrong.append(f"{reader}: {outcome.name} ran")
        kinds = [outcome.kind for outcome in outcomes]
        dead = kinds.count("crash") + kinds.count("hang")
        counts = (kinds.count("refused"), kinds.count("done"), kinds.count("untyped"), dead, left)
        print(f"| {reader} | {len(outcomes)} | {' | '.join(map(str, counts))} |", flush=True)
        wrong += apart.faults(outcomes)
        wrong += [f"{reader}: {o.name} was loaded" for o in outcomes if o.kind == "done"]
    return wrong


def _carelessly(path: Path) -> None:
    torch.load(path, weights_only=False)


def _is_left(canary: Path) -> bool:
    """Whether the file was left; it is gone then."""
    if canary.is_dir():
        canary.rmdir()
        return True
    was = canary.exists()
    canary.unlink(missing_ok=True)
    return was


def _written(made: Sequence[tuple[str, bytes]], home: Path) -> Iterator[tuple[str, Path]]:
    for number, (name, data) in enumerate(made):
        path = home / f"net{ENDINGS[number % len(ENDINGS)]}"
        path.write_bytes(data)
        yield f"{name}, {path.suffix}", path


def _as_weights(path: Path) -> None:
    """Where a folder's weights should be, under their name and under PyTorch's."""
    folder = path.parent / "folder"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text('{"class_name": "CompactNet", "channels": 4}')
    for name in ("model.safetensors", "pytorch_model.bin"):
        (folder / name).write_bytes(path.read_bytes())
    Generator.from_pretrained(folder)


def _imported(path: Path) -> None:
    import_checkpoint(path, path.parent / "imported")


# -- pickles, opcode by opcode --------------------------------------------------------------------


def _value(value: object) -> bytes:
    """Opcodes that put it on the stack."""
    return pickle.dumps(value, 2)[2:-1]


def _arguments(gadget: str, canary: str) -> tuple[str, str, list[bytes]]:
    module, function, arguments = GADGETS[gadget]
    if function == "Path.touch":  # pathlib.Path(canary)
        return module, function, [b"cpathlib\nPath\n" + _value((canary,)) + b"R"]
    return module, function, [_value(_filled(argument, canary)) for argument in arguments]


def _filled(argument: object, canary: str) -> object:
    if isinstance(argument, list):
        return [_filled(part, canary) for part in argument]
    return argument.replace("{}", canary) if isinstance(argument, str) else argument


def _by_reduce(gadget: str, canary: str) -> bytes:
    module, function, arguments = _arguments(gadget, canary)
    name = _value(module) + _value(function) + b"\x93"
    return b"\x80\x04" + name + b"(" + b"".join(arguments) + b"tR."


def _by_global(gadget: str, canary: str) -> bytes:
    module, function, arguments = _arguments(gadget, canary)
    return b"\x80\x04c" + f"{module}\n{function}\n".encode() + b"(" + b"".join(arguments) + b"tR."


def _by_inst(gadget: str, canary: str) -> bytes:
    module, function, arguments = _arguments(gadget, canary)
    return b"(" + b"".join(arguments) + f"i{module}\n{function}\n.".encode()


def _by_obj(gadget: str, canary: str) -> bytes:
    module, function, arguments = _arguments(gadget, canary)
    return b"(c" + f"{module}\n{function}\n".encode() + b"".join(arguments) + b"o."


def _by_partial(gadget: str, canary: str) -> bytes:
    """functools.partial of it, called."""
    module, function, arguments = _arguments(gadget, canary)
    name = f"c{module}\n{function}\n".encode()
    call = b"cfunctools\npartial\n(" + name + b"".join(arguments) + b"tR"
    return b"\x80\x04" + call + b")R."


OPCODES: dict[str, Callable[[str, str], bytes]] = {
    "STACK_GLOBAL": _by_reduce,
    "GLOBAL": _by_global,
    "INST": _by_inst,
    "OBJ": _by_obj,
    "functools.partial": _by_partial,
}


def _hostile(pickles: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Each in each container."""
    for name, data in pickles.items():
        for container, pack in CONTAINERS.items():
            yield f"{name}, {container}", pack(data)


def _zipped(data: bytes, member: str = "data.pkl") -> bytes:
    """An archive of torch.save, one part of which is another."""
    good, bad = io.BytesIO(), io.BytesIO()
    torch.save(small_state(), good)
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(bad, "w") as new:
        for entry in old.infolist():
            is_it = entry.filename.endswith("/data.pkl")
            new.writestr(entry.filename, data if is_it else old.read(entry))
            if is_it and member != "data.pkl":  # TorchScript
                new.writestr(entry.filename.replace("data.pkl", member), data)
    return bad.getvalue()


def _legacy(data: bytes) -> bytes:
    """What torch.save wrote before 1.6: four pickles, of which the last holds the weights."""
    magic, protocol = pickle.dumps(0x1950A86A20F9469CFC6C, 2), pickle.dumps(1001, 2)
    return magic + protocol + pickle.dumps({"little_endian": True}, 2) + data


def _tarred(data: bytes) -> bytes:
    """What it wrote before 0.2."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in ("sys_info", "storages", "tensors", "pickle"):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return file.getvalue()


CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "a bare pickle": bytes,
    "a ZIP archive": _zipped,
    "TorchScript": lambda data: _zipped(data, "constants.pkl"),
    "the old format": _legacy,
    "a tar archive": _tarred,
}


if __name__ == "__main__":
    sys.exit(main())
