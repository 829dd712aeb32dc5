"""From a picture to a latent code."""

from mien.inversion.encoder import Encoder, EncoderConfig, grow_encoder

__all__ = ["Encoder", "EncoderConfig", "grow_encoder"]
