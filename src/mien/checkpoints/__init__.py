"""Weights on disk: safetensors and JSON, read strictly, written whole; and what others published, read safely."""

from mien.checkpoints.bundle import find_bundle, load_bundle, save_bundle
from mien.checkpoints.contents import Bundle, Source, TrackerNetworks

__all__ = ["Bundle", "Source", "TrackerNetworks", "find_bundle", "load_bundle", "save_bundle"]
