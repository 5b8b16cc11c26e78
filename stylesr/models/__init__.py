"""The generators, one architecture a file."""

from stylesr.models.adain_net import AdaINNet
from stylesr.models.base import Generator
from stylesr.models.compact import CompactNet
from stylesr.models.dcgan import DCGAN
from stylesr.models.espcn import ESPCN
from stylesr.models.microast import MicroAST
from stylesr.models.resnet_generator import ResnetGenerator
from stylesr.models.rlfn import RLFN
from stylesr.models.rrdbnet import RRDBNet
from stylesr.models.span import SPAN
from stylesr.models.srcnn import SRCNN
from stylesr.models.srresnet import SRResNet
from stylesr.models.stylesr_net import StyleSRNet
from stylesr.models.transformer_net import TransformerNet, TransformerSRNet
from stylesr.models.unet_generator import UNetGenerator
from stylesr.models.vdsr import VDSR

__all__ = [
    "DCGAN",
    "ESPCN",
    "RLFN",
    "SPAN",
    "SRCNN",
    "VDSR",
    "AdaINNet",
    "CompactNet",
    "Generator",
    "MicroAST",
    "RRDBNet",
    "ResnetGenerator",
    "SRResNet",
    "StyleSRNet",
    "TransformerNet",
    "TransformerSRNet",
    "UNetGenerator",
]
