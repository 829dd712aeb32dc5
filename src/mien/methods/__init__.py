"""Reenactment methods: how a source code and a target pose become a new code."""

from mien.methods.baselines import (
    assigned_directions,
    factor_slopes,
    regressed_directions,
    still_directions,
    style_factors,
)
from mien.methods.direction import DirectionConfig, DirectionMatrix, move_code
from mien.methods.stylemask import MaskNetworks, StyleMaskConfig, controlled_layers

__all__ = [
    "DirectionConfig",
    "DirectionMatrix",
    "MaskNetworks",
    "StyleMaskConfig",
    "assigned_directions",
    "controlled_layers",
    "factor_slopes",
    "move_code",
    "regressed_directions",
    "still_directions",
    "style_factors",
]
