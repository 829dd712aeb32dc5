"""Reenactment methods: how a source code and a target pose become a new code."""

from mien.methods.direction import DirectionConfig, DirectionMatrix, move_code

__all__ = ["DirectionConfig", "DirectionMatrix", "move_code"]
