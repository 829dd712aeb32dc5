"""What training losses ask of a head model: its surface and landmarks in pixels, for a person, a face, and a pose.

FLAME (`mien.face3d.flame`) and ICT-FaceKit (`mien.face3d.morphable`) both answer. The camera is fixed and orthographic,
896 pixels per metre in a frame of 224 (METHODS section 2): the published losses' unit, whatever the model's own is.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch

from mien.face3d.params import FaceModel

FRAME_PX = 224
PX_PER_METRE = 896.0


class PosedHead(NamedTuple):
    """Vertices (B, V, 3) and the 68 landmarks (B, 68, 3) in pixels: x right, y down, z away from the camera."""

    vertices: torch.Tensor
    landmarks: torch.Tensor


class ShapeModel(Protocol):
    """A head model as losses see it; differentiable in all three inputs."""

    @property
    def model(self) -> FaceModel:
        """Which `FaceParams.expression` it reads."""
        ...

    def posed(self, identity: torch.Tensor, expression: torch.Tensor, angles: torch.Tensor) -> PosedHead:
        """The head of a person in a pose.

        Args:
            identity: (B, I) weights of the model's first I identity modes; (B, 0) is the mean person.
            expression: (B, 51) as in `FaceParams` of this model.
            angles: (B, 3) yaw, pitch, roll in radians, the house's.
        """
        ...


def to_pixels(points: torch.Tensor, px_per_unit: float) -> torch.Tensor:
    """Points (..., 3) in head axes → pixels (..., 3) of the fixed camera; the origin is the middle of the frame."""
    return points * points.new_tensor([px_per_unit, -px_per_unit, -px_per_unit]) + FRAME_PX / 2
