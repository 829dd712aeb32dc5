"""From a picture to a latent code."""

from mien.inversion.critic import CodeCritic
from mien.inversion.encoder import Encoder, EncoderConfig, grow_encoder

__all__ = ["CodeCritic", "Encoder", "EncoderConfig", "grow_encoder"]
