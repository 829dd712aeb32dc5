"""Frozen networks that see what people see."""

from mien.perception.arcface import ArcFaceConfig, ArcFaceNet
from mien.perception.identity import IdentityConfig, IdentityNet
from mien.perception.lpips import Lpips, LpipsConfig

__all__ = ["ArcFaceConfig", "ArcFaceNet", "IdentityConfig", "IdentityNet", "Lpips", "LpipsConfig"]
