"""Reenactment methods: how a source code and a target pose become a new code."""

from mien.methods.direction import DirectionConfig, DirectionMatrix, move_code
from mien.methods.stylemask import MaskNetworks, StyleMaskConfig

__all__ = ["DirectionConfig", "DirectionMatrix", "MaskNetworks", "StyleMaskConfig", "move_code"]
