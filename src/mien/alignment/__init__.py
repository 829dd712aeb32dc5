"""Alignment: crops around a face that carry their own inverse."""

from mien.alignment.crop import CROPS, Crop, head_crop, voxceleb_crop, weak_perspective

__all__ = ["CROPS", "Crop", "head_crop", "voxceleb_crop", "weak_perspective"]
