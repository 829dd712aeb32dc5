"""ICT-FaceKit: vertices = mean + identity basis · p_id + expression basis · p_exp (METHODS section 1)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from mien.errors import MissingDataError
from mien.face3d.params import ARKIT_NAMES, FaceModel
from mien.face3d.shape import PX_PER_METRE, PosedHead, to_pixels
from mien.geometry import rotation_from_angles

PX_PER_CM = PX_PER_METRE / 100
"""Both this model and FLAME have the size of real heads, so that one has the height of the other in pixels."""


def data_folder(folder: str | os.PathLike[str] | None = None) -> Path:
    """The data pack: the folder given, or MIEN_DATA, or ../shared/data.

    Raises:
        MissingDataError: it is not there.
    """
    chosen = Path(folder or os.environ.get("MIEN_DATA") or "../shared/data")
    if not chosen.is_dir():
        raise MissingDataError(f"{chosen}: no data pack there; set MIEN_DATA to its folder")
    return chosen


@dataclass(frozen=True)
class LinearHead:
    """A linear head model on a subset of V vertices, in centimetres and head axes.

    Attributes:
        mean: (V, 3).
        identity: (I, V, 3) modes, unit sigma.
        expression: (51, V, 3) displacement of every ARKit coefficient at weight 1.
        landmarks: (68,) index of each landmark among the V vertices.
    """

    mean: torch.Tensor
    identity: torch.Tensor
    expression: torch.Tensor
    landmarks: torch.Tensor

    def vertices(self, identity: torch.Tensor, expression: torch.Tensor) -> torch.Tensor:
        """(B, I) identity weights and (B, 51) ARKit coefficients → (B, V, 3) centimetres, head pose removed."""
        shape = self.mean + torch.einsum("bi,ivc->bvc", identity, self.identity[: identity.shape[1]])
        return shape + torch.einsum("be,evc->bvc", expression, self.expression)

    @property
    def model(self) -> FaceModel:
        """Reads ARKit coefficients."""
        return "arkit"

    def to(self, device: torch.device | str) -> LinearHead:
        """The same model on another device."""
        return LinearHead(**{name: tensor.to(device) for name, tensor in vars(self).items()})

    def posed(self, identity: torch.Tensor, expression: torch.Tensor, angles: torch.Tensor) -> PosedHead:
        """See `mien.face3d.shape.ShapeModel`; the head turns about the origin of its axes."""
        turned = self.vertices(identity, expression) @ rotation_from_angles(angles).transpose(1, 2)
        pixels = to_pixels(turned, PX_PER_CM)
        return PosedHead(pixels, pixels[:, self.landmarks])


@lru_cache(maxsize=2)
def load_ict(path: str | os.PathLike[str] | None = None, step: int = 8) -> LinearHead:
    """ICT-FaceKit (MIT) reduced to every `step`-th face vertex plus the 68 landmarks.

    Args:
        path: `ict_facekit.npz`; by default `head/` of the data folder.
        step: thinning of the 'Face' part; 1 keeps all.

    Raises:
        MissingDataError: the file is not there.
    """
    path = Path(path) if path else data_folder() / "head" / "ict_facekit.npz"
    if not path.is_file():
        raise MissingDataError(f"{path}: the ICT head model is needed here; set MIEN_DATA to the folder that has head/")
    with np.load(path, allow_pickle=False) as stored:
        first, last = stored["part_vertex_range"][0]
        kept = np.unique(np.concatenate([np.arange(first, last, step), stored["landmarks68"]]))
        to_arkit = stored["mediapipe_to_expression"][1:]
        if tuple(str(n) for n in stored["mediapipe_blendshape_names"][1:]) != ARKIT_NAMES:
            raise MissingDataError(f"{path}: the coefficient names are not the 51 ARKit names expected")
        scale = stored["identity_scale"][:, None, None]
        identity = stored["identity_q"][:, kept].astype(np.float32) * scale
        shapes = stored["expression_q"][:, kept].astype(np.float32) * stored["expression_scale"][:, None, None]
        expression = np.tensordot(to_arkit, shapes, 1)
        mean, landmarks = stored["neutral"][kept], np.searchsorted(kept, stored["landmarks68"])
    tensors = [torch.from_numpy(np.ascontiguousarray(a, np.float32)) for a in (mean, identity, expression)]
    return LinearHead(tensors[0], tensors[1], tensors[2], torch.from_numpy(landmarks))
