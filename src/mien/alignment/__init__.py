"""Alignment: crops around a face that carry their own inverse."""

from mien.alignment.crop import CROPS, Crop, deca_crop, ffhq_crop, head_crop, voxceleb_crop, weak_perspective
from mien.alignment.five_points import align_faces

__all__ = ["CROPS", "Crop", "deca_crop", "ffhq_crop", "head_crop", "voxceleb_crop", "weak_perspective", "align_faces"]
