"""Frozen networks that see what people see."""

from mien.perception.arcface import ArcFaceConfig, ArcFaceNet
from mien.perception.identity import IdentityConfig, IdentityNet

__all__ = ["ArcFaceConfig", "ArcFaceNet", "IdentityConfig", "IdentityNet"]
