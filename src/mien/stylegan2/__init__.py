"""StyleGAN2 in plain PyTorch: mapping, styles and synthesis as separate public steps, and the discriminator."""

from mien.stylegan2.config import DiscriminatorConfig, GeneratorConfig
from mien.stylegan2.discriminator import Discriminator
from mien.stylegan2.generator import Generator, Styles
from mien.stylegan2.growth import grow_discriminator, grow_generator

__all__ = [
    "Discriminator",
    "DiscriminatorConfig",
    "Generator",
    "GeneratorConfig",
    "Styles",
    "grow_discriminator",
    "grow_generator",
]
