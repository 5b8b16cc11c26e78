"""The generators, one architecture a file."""

from stylesr.models.base import Generator
from stylesr.models.compact import CompactNet
from stylesr.models.espcn import ESPCN
from stylesr.models.microast import MicroAST
from stylesr.models.rlfn import RLFN
from stylesr.models.srcnn import SRCNN
from stylesr.models.srresnet import SRResNet
from stylesr.models.stylesr_net import StyleSRNet
from stylesr.models.transformer_net import TransformerNet
from stylesr.models.vdsr import VDSR

__all__ = [
    "ESPCN",
    "RLFN",
    "SRCNN",
    "VDSR",
    "CompactNet",
    "Generator",
    "MicroAST",
    "SRResNet",
    "StyleSRNet",
    "TransformerNet",
]
