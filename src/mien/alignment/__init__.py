"""Alignment: crops around a face that carry their own inverse."""

from mien.alignment.crop import CROPS, Crop, deca_crop, ffhq_crop, head_crop, voxceleb_crop, weak_perspective
from mien.alignment.five_points import align_faces
from mien.alignment.paste import Paster, paste, soft_mask

__all__ = [
    "CROPS",
    "Crop",
    "Paster",
    "align_faces",
    "deca_crop",
    "ffhq_crop",
    "head_crop",
    "paste",
    "soft_mask",
    "voxceleb_crop",
    "weak_perspective",
]
