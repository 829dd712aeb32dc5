"""Weights on disk: safetensors and JSON, read strictly, written whole."""

from mien.checkpoints.bundle import Bundle, TrackerNetworks, find_bundle, load_bundle, save_bundle

__all__ = ["Bundle", "TrackerNetworks", "find_bundle", "load_bundle", "save_bundle"]
