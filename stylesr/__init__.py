"""stylesr: super-resolution and style in one pass.

    from stylesr import StyleSRPipeline

    pipe = StyleSRPipeline.from_pretrained("starry-night")
    image = pipe("cat.jpg", scale=4, strength=0.8).images[0]

Public names are imported when first used: diffusers and torch take seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from stylesr.errors import (
    HubError,
    ImageError,
    InputError,
    ModelError,
    OutOfMemory,
    PublishError,
    StyleSRError,
)

if TYPE_CHECKING:
    from stylesr.blending import blend
    from stylesr.checkpoints import load_checkpoint
    from stylesr.hub import bundled_names
    from stylesr.models.base import Generator
    from stylesr.models.stylesr_net import StyleSRNet
    from stylesr.picture import Picture
    from stylesr.pipeline import Plan, Progress, StyleSRPipeline, StyleSRPipelineOutput
    from stylesr.sharing import pull, push, push_all

__version__ = "0.1.0"

__all__ = [
    "Generator",
    "HubError",
    "ImageError",
    "InputError",
    "ModelError",
    "OutOfMemory",
    "Picture",
    "Plan",
    "Progress",
    "PublishError",
    "StyleSRError",
    "StyleSRNet",
    "StyleSRPipeline",
    "StyleSRPipelineOutput",
    "blend",
    "bundled_names",
    "load_checkpoint",
    "pull",
    "push",
    "push_all",
]

_MODULES = {
    "Generator": "stylesr.models.base",
    "Picture": "stylesr.picture",
    "Plan": "stylesr.pipeline",
    "Progress": "stylesr.pipeline",
    "StyleSRNet": "stylesr.models.stylesr_net",
    "StyleSRPipeline": "stylesr.pipeline",
    "StyleSRPipelineOutput": "stylesr.pipeline",
    "blend": "stylesr.blending",
    "bundled_names": "stylesr.hub",
    "load_checkpoint": "stylesr.checkpoints",
    "pull": "stylesr.sharing",
    "push": "stylesr.sharing",
    "push_all": "stylesr.sharing",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
