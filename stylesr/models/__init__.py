"""The generators, one architecture a file."""

from stylesr.models.base import Generator
from stylesr.models.compact import CompactNet
from stylesr.models.microast import MicroAST
from stylesr.models.rlfn import RLFN
from stylesr.models.stylesr_net import StyleSRNet
from stylesr.models.transformer_net import TransformerNet

__all__ = ["RLFN", "CompactNet", "Generator", "MicroAST", "StyleSRNet", "TransformerNet"]
