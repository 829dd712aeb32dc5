"""From a picture to a latent code."""

from mien.inversion.critic import CodeCritic
from mien.inversion.e4e import E4eConfig, E4eEncoder
from mien.inversion.encoder import Encoder, EncoderConfig, grow_encoder, refine_encoder
from mien.inversion.feature import (
    FeatureConfig,
    FeatureEncoder,
    FeatureRefiner,
    FeatureShift,
    FeatureTransformer,
    feature_config,
)
from mien.inversion.refiners import copying, filling, following, seeing_finer
from mien.inversion.tuning import TuningConfig, tune_generator

__all__ = [
    "CodeCritic",
    "E4eConfig",
    "E4eEncoder",
    "Encoder",
    "EncoderConfig",
    "FeatureConfig",
    "FeatureEncoder",
    "FeatureRefiner",
    "FeatureShift",
    "FeatureTransformer",
    "TuningConfig",
    "copying",
    "feature_config",
    "filling",
    "following",
    "grow_encoder",
    "refine_encoder",
    "seeing_finer",
    "tune_generator",
]
