"""`Generator`: what every network of this package is, on disk and in memory.

A generator is an `nn.Module` with the Hub's mixin, made stricter: weights load completely or not
at all, from safetensors only, and only into the class that saved them.
"""

import hashlib
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import torch
from huggingface_hub import PyTorchModelHubMixin
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from stylesr.errors import InputError, ModelError
from stylesr.files import whole
from stylesr.hub import CONFIG_FILE, WEIGHTS_FILE, locate
from stylesr.publishing import Publication, publish

__all__ = ["Generator", "check_kinds", "check_range"]

STORED = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


class Generator(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="stylesr",
    license="apache-2.0",
    pipeline_tag="image-to-image",
):
    """Base of all generators: picture in, picture out, (N, 3, H, W), RGB in [0, 1].

    Subclasses take plain JSON values as constructor keywords (they become `config.json`), check
    them with `check_range`, and state their needs as data:

    Attributes:
        scales: the factors by which the output can be larger than the input.
        min_size: least height and width of an input, in pixels.
        needs_style: whether `forward` takes a style image too, as `style`.
    """

    scales: tuple[int, ...] = (1,)
    min_size: ClassVar[int] = 1
    needs_style: ClassVar[bool] = False
    _folder: Path | None = None  # from which it was loaded, or into which it was saved last

    def multiple_of(self, scale: int) -> int:
        """Height and width of an input for this factor must be multiples of this."""
        return 1

    def receptive_field(self, scale: int) -> int | None:
        """Input pixels on which an output pixel depends, beyond its aligned block on each side.

        A block is `multiple_of(scale)` input pixels; tiles start on its multiples. None: a pixel
        depends on the picture as a whole, so no overlap makes tiles agree.
        """
        raise NotImplementedError

    @property
    def paints(self) -> bool:
        """Whether it repaints what it is shown; a network that only enlarges does not."""
        return False

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The weights' floating-point type."""
        return next(self.parameters()).dtype

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's keywords and their values."""
        return dict(cast(dict[str, Any], self._hub_mixin_config or {}))

    def fingerprint(self) -> str:
        """SHA-256 of the weights: names, shapes and values as float32."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(f"{name}{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def check_input(self, x: Tensor, scale: int) -> None:
        """Raise InputError unless `x` is a picture that `forward` takes at this factor."""
        if type(scale) is not int or scale not in self.scales:
            raise InputError(
                f"{type(self).__name__} enlarges by {_either(self.scales)}, not by {scale!r}"
            )
        if x.ndim != 4 or x.shape[1] != 3 or not x.is_floating_point():
            raise InputError(
                "expected a floating-point tensor (N, 3, H, W) with values in [0, 1], "
                f"got {x.dtype} of shape {tuple(x.shape)}"
            )
        height, width = x.shape[-2:]
        if min(height, width) < self.min_size:
            raise InputError(
                f"{type(self).__name__} needs at least {self.min_size}×{self.min_size} pixels, "
                f"got {height}×{width}"
            )
        multiple = self.multiple_of(scale)
        if height % multiple or width % multiple:
            raise InputError(
                f"at ×{scale} height and width must be multiples of {multiple}, "
                f"got {height}×{width}; pad the picture first"
            )

    # -- on disk ------------------------------------------------------------------------------

    def _save_pretrained(self, save_directory: Path) -> None:
        if self.dtype != torch.float32:  # rounded weights have another fingerprint
            raise ModelError(
                f"the network was converted to {self.dtype}; save it before, in torch.float32 "
                "(`stylesr shrink` stores float16 where no picture changes)"
            )
        config = {"class_name": type(self).__name__, **self.config}
        text = json.dumps(config, indent=2, sort_keys=True) + "\n"
        state = {k: v.detach().cpu().contiguous() for k, v in self.state_dict().items()}
        with whole(save_directory / WEIGHTS_FILE) as file:
            file.write(save(state, metadata={"format": "pt"}))
        with whole(save_directory / CONFIG_FILE) as file:
            file.write(text.encode())
        self._folder = save_directory

    def push_to_hub(  # type: ignore[override]
        self,
        repo_id: str,
        *,
        folder: str | Path | None = None,
        commit_message: str | None = None,
        private: bool | None = None,
        token: str | None = None,
        branch: str | None = None,
        create_pr: bool | None = None,
        dry_run: bool = False,
        config: Any = None,
        model_card_kwargs: Mapping[str, Any] | None = None,
    ) -> Publication:
        """Publish this network with its card, figures and pictures: exactly a folder's files.

        Args:
            repo_id: for example "user/my-style".
            folder: holds this network and its card; by default the one from which it was loaded
                or into which it was saved last.
            commit_message, private, token, branch, create_pr, dry_run: as for `stylesr.push`.
            config, model_card_kwargs: what the mixin's `save_pretrained` passes on. The config is
                the folder's, and so is the card.

        Raises:
            InputError: there is no such folder, or another card is asked for.
            PublishError: the folder holds another network, or is not fit to be published.
            HubError: the Hub refused or cannot be reached.
        """
        if model_card_kwargs:
            raise InputError(
                f"model_card_kwargs {sorted(model_card_kwargs)}: the card is the folder's README.md"
            )
        folder = folder or self._folder
        if folder is None:
            raise InputError(
                "the network is in no folder yet: save_pretrained it, write its card beside it "
                "(see hub_cards/README.md), then push"
            )

        def load(path: Path) -> Generator:
            net = type(self).from_pretrained(path)
            if net.fingerprint() != self.fingerprint():
                raise ModelError(f"{path} holds other weights than this network; save it there")
            return net

        return publish(
            folder,
            repo_id,
            load,
            private=private,
            create_pr=bool(create_pr),
            branch=branch,
            dry_run=dry_run,
            token=token,
            message=commit_message,
        )

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        revision: str | None = None,
        map_location: str | torch.device = "cpu",
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        token: str | bool | None = None,
    ) -> Self:
        """Load a released model's name, a local folder or a Hub id; returns it in eval mode.

        The network is float32, also where the file holds float16. `Generator.from_pretrained`
        loads any class, the one that the config names.

        Raises:
            ModelError: nothing found there, config.json or model.safetensors missing, another
                class's folder, a config value out of bounds, or weights that do not fit exactly.
        """
        folder = locate(
            pretrained_model_name_or_path,
            revision=revision,
            cache_dir=cache_dir,
            force_download=force_download,
            local_files_only=local_files_only,
            token=token,
        )
        config = _read_config(folder)
        model = cls._named(config.get("class_name"))._from_config(config, folder)
        model._load_weights(folder / WEIGHTS_FILE)
        model._folder = folder
        return model.to(map_location).eval()

    @classmethod
    def _named(cls, class_name: object) -> type[Self]:
        """The subclass of that name; this class itself where there is none."""
        return next((kind for kind in cls.__subclasses__() if kind.__name__ == class_name), cls)

    @classmethod
    def _from_config(cls, config: dict[str, Any], folder: Path) -> Self:
        class_name = config.pop("class_name", None)
        if class_name != cls.__name__:
            kinds = cls.__subclasses__() if cls is Generator else [cls]
            known = sorted(kind.__name__ for kind in kinds)
            raise ModelError(
                f"{folder} holds a {class_name or 'model without class_name'}, "
                f"not a {' or '.join(known)}"
            )
        keywords = set(inspect.signature(cls.__init__).parameters) - {"self"}
        if unknown := sorted(set(config) - keywords):
            raise ModelError(f"{folder / CONFIG_FILE}: unknown keys {', '.join(unknown)}")
        try:
            return cls(**config)
        except (InputError, TypeError) as error:
            raise ModelError(f"{folder / CONFIG_FILE}: {error}") from error

    def _load_weights(self, path: Path) -> None:
        if not path.is_file():
            raise ModelError(f"{path} is missing: weights are read from safetensors only")
        try:
            state = load_file(str(path))
        except (SafetensorError, OSError, ValueError) as error:
            raise ModelError(
                f"{path} is not a readable safetensors file ({error}); if it came from the Hub, "
                "fetch it anew with force_download=True"
            ) from error
        check_kinds(path, self, state)
        for name, tensor in state.items():
            if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                raise ModelError(f"{path}: {name} has values that are not finite")
        try:
            self.load_state_dict(state, strict=True)
        except RuntimeError as error:
            raise ModelError(f"{path} does not fit {type(self).__name__}: {error}") from error


def check_kinds(path: Path, model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Raise ModelError where whole numbers, or floats of 8 bits, would become a model's weights."""
    for name, own in model.state_dict().items():
        kind = state[name].dtype if name in state else own.dtype
        if own.is_floating_point() and kind not in STORED:
            raise ModelError(
                f"{path}: {name} is of {kind}; weights are floating-point numbers of 16 to 64 bits"
            )


def check_range(name: str, value: Any, low: int, high: int) -> int:
    """Return `value` if it is a whole number in [low, high], else raise InputError."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(f"{name} must be a whole number from {low} to {high}, got {value!r}")
    return value


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG_FILE
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{path} is missing: a model folder holds config and weights") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not readable JSON: {error}") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path} must hold a JSON object, got {type(config).__name__}")
    return config


def _either(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values))
