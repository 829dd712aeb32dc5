"""Frozen networks that see what people see."""

from mien.perception.arcface import ArcFaceConfig, ArcFaceNet
from mien.perception.i3d import I3d, I3dConfig
from mien.perception.identity import IdentityConfig, IdentityNet
from mien.perception.inception import FidInception, InceptionConfig
from mien.perception.lpips import Lpips, LpipsConfig

__all__ = [
    "ArcFaceConfig",
    "ArcFaceNet",
    "FidInception",
    "I3d",
    "I3dConfig",
    "IdentityConfig",
    "IdentityNet",
    "InceptionConfig",
    "Lpips",
    "LpipsConfig",
]
