"""StyleGAN2 in plain PyTorch: mapping, styles and synthesis as separate public steps, and the discriminator."""

from mien.stylegan2.config import DiscriminatorConfig, GeneratorConfig
from mien.stylegan2.discriminator import Discriminator
from mien.stylegan2.generator import Generator, Styles, Trace
from mien.stylegan2.growth import behind_new_block, grow_discriminator, grow_generator, widen_generator

__all__ = [
    "Discriminator",
    "DiscriminatorConfig",
    "Generator",
    "GeneratorConfig",
    "Styles",
    "Trace",
    "behind_new_block",
    "grow_discriminator",
    "grow_generator",
    "widen_generator",
]
