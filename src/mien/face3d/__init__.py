"""Faces as parameters: pose, expression, landmarks, the motion space, and linear head models."""

from mien.face3d.morphable import ShapeModel, load_ict
from mien.face3d.motion import ARKIT_COORDINATES, MotionSpace, arkit_motion_space
from mien.face3d.params import ARKIT_NAMES, FaceParams

__all__ = [
    "ARKIT_COORDINATES",
    "ARKIT_NAMES",
    "FaceParams",
    "MotionSpace",
    "ShapeModel",
    "arkit_motion_space",
    "load_ict",
]
