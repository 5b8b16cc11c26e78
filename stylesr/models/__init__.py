"""The generators, one architecture a file."""

from stylesr.models.base import Generator
from stylesr.models.stylesr_net import StyleSRNet

__all__ = ["Generator", "StyleSRNet"]
