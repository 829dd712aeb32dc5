"""A source person as a value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mien.alignment.crop import Crop
from mien.face3d.params import FaceParams
from mien.inversion import FeatureShift


@dataclass(frozen=True)
class Identity:
    """A source person, ready to be driven: a value that can be kept, compared and used with many drivers.

    Attributes:
        code: (1, L, D) W+ code of the source, turned upright if it leans farther than the bundle draws.
        params: pose and expression of the source, length 1, landmarks in pixels of the full picture.
        coordinates: (1, k) the same in the bundle's motion space; None where the tracker measures something else.
        crop: region of the full picture that the generator shows; carries its inverse.
        image: uint8 (S, S, 3) that region.
        shift: what refinement adds to a feature map of the source; None where the bundle has none.
        notices: what the user should know, one sentence each.
    """

    code: torch.Tensor
    params: FaceParams
    coordinates: torch.Tensor | None
    crop: Crop
    image: np.ndarray
    notices: tuple[str, ...] = ()
    shift: FeatureShift | None = None
