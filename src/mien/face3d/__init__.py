"""Faces as parameters: pose, expression, landmarks, the motion space, and linear head models."""

from mien.face3d.euler import deca_from_house, house_from_deca
from mien.face3d.flame import Flame, project
from mien.face3d.morphable import LinearHead, load_ict
from mien.face3d.motion import ARKIT_COORDINATES, MotionSpace, arkit_motion_space, deca_motion_space
from mien.face3d.params import ARKIT_NAMES, DECA_NAMES, FaceParams
from mien.face3d.ranges import published_ranges
from mien.face3d.shape import PosedHead, ShapeModel

__all__ = [
    "ARKIT_COORDINATES",
    "ARKIT_NAMES",
    "DECA_NAMES",
    "FaceParams",
    "Flame",
    "LinearHead",
    "MotionSpace",
    "PosedHead",
    "ShapeModel",
    "arkit_motion_space",
    "deca_from_house",
    "deca_motion_space",
    "house_from_deca",
    "load_ict",
    "project",
    "published_ranges",
]
