"""Frozen networks that see what people see."""

from mien.perception.identity import IdentityConfig, IdentityNet

__all__ = ["IdentityConfig", "IdentityNet"]
