import subprocess
import sys
from importlib import import_module
from pkgutil import walk_packages

import pytest

import stylesr

FOLDERS = {"stylesr.data", "stylesr.losses", "stylesr.page"}  # no names of their own
MODULES = [m.name for m in walk_packages(stylesr.__path__, "stylesr.") if m.name not in FOLDERS]


def test_public_names_are_these() -> None:
    assert stylesr.__all__ == [
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


@pytest.mark.parametrize("name", stylesr.__all__)
def test_each_public_name_is_there_and_listed(name: str) -> None:
    assert getattr(stylesr, name).__name__ == name
    assert name in dir(stylesr)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'stylesr' has no attribute 'Diffusion'"):
        stylesr.Diffusion  # noqa: B018


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import stylesr, sys; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "stylesr" in loaded
    assert not loaded & {"torch", "diffusers", "numpy", "PIL", "huggingface_hub", "gradio"}


@pytest.mark.parametrize("name", MODULES)
def test_each_module_states_its_names_and_has_them(name: str) -> None:
    module = import_module(name)
    assert [n for n in module.__all__ if not hasattr(module, n)] == []
