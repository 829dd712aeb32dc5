"""FLAME (Li et al. 2017): a head model with a jaw, in metres and head axes, and the landmarks DECA reads off it.

Vertices are linear in identity and expression, corrected by the joints' rotations, then skinned: with T_j the motion
of joint j and w_vj its weight, v' = Σ_j w_vj · T_j · (v + S·β + E·ψ + P·(R − I)). Joints: 0 head, 1 neck, 2 jaw, 3 and
4 eyes; DECA moves the head and the jaw only.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch

from mien.face3d.euler import deca_from_rotation
from mien.face3d.params import FaceModel
from mien.face3d.shape import FRAME_PX, PX_PER_METRE, PosedHead, to_pixels
from mien.geometry import rotation_from_angles, rotation_from_axis_angle

JAW = 2
MAX_CONTOUR_DEG = 39


class SurfacePoints(NamedTuple):
    """Points on a mesh: `faces` (..., L) triangles, `weights` (..., L, 3) of their corners."""

    faces: torch.Tensor
    weights: torch.Tensor


@dataclass(frozen=True)
class Flame:
    """The model's tables. Tensors are never mutated.

    Attributes:
        template: (V, 3) mean head, metres.
        identity: (V, 3, I) modes, unit sigma.
        expression: (V, 3, E) modes, unit sigma.
        correction: (V, 3, 9·(J − 1)) displacement per entry of R_j − I, joints 1 …, row by row.
        regressor: (J, V) joints from vertices.
        weights: (V, J) of skinning, rows sum to 1.
        triangles: (F, 3) vertex indices.
        inner: 51 landmarks without the contour.
        contour: (79, 17) the visible contour: rows 0 … 39 for turns about y of 0 … 39 degrees, 40 … 78 for −1 … −39.
        full: 68 landmarks fixed to the surface.
        parents: of each joint, −1 for the first.
    """

    template: torch.Tensor
    identity: torch.Tensor
    expression: torch.Tensor
    correction: torch.Tensor
    regressor: torch.Tensor
    weights: torch.Tensor
    triangles: torch.Tensor
    inner: SurfacePoints
    contour: SurfacePoints
    full: SurfacePoints
    parents: tuple[int, ...] = (-1, 0, 1, 1, 1)

    @property
    def model(self) -> FaceModel:
        """Reads `FaceParams` of DECA."""
        return "deca"

    def to(self, device: torch.device | str) -> Flame:
        """The same model on another device."""
        moved = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, torch.Tensor):
                moved[field.name] = value.to(device)
            elif isinstance(value, SurfacePoints):
                moved[field.name] = SurfacePoints(*(part.to(device) for part in value))
        return replace(self, **moved)

    def rotations(self, pose: torch.Tensor) -> torch.Tensor:
        """DECA's pose (B, 6), axis-angles of head and jaw in radians, → rotations of all joints (B, J, 3, 3)."""
        turned = rotation_from_axis_angle(pose.unflatten(1, (2, 3)))
        return self._all_joints(turned[:, 0], turned[:, 1])

    def _all_joints(self, head: torch.Tensor, jaw: torch.Tensor) -> torch.Tensor:
        still = torch.eye(3, dtype=head.dtype, device=head.device).expand_as(head)
        return torch.stack([head, still, jaw, *[still] * (len(self.parents) - JAW - 1)], 1)

    def vertices(self, identity: torch.Tensor, expression: torch.Tensor, rotations: torch.Tensor) -> torch.Tensor:
        """The skinned head.

        Args:
            identity: (B, ≤ I) coefficients β of the first modes.
            expression: (B, ≤ E) coefficients ψ of the first modes.
            rotations: (B, J, 3, 3) of every joint, against its parent.

        Returns:
            (B, V, 3) metres.
        """
        shaped = self.template + torch.einsum("bi,vci->bvc", identity, self.identity[..., : identity.shape[1]])
        shaped = shaped + torch.einsum("be,vce->bvc", expression, self.expression[..., : expression.shape[1]])
        joints = torch.einsum("jv,bvc->bjc", self.regressor, shaped)
        bend = rotations[:, 1:] - torch.eye(3, dtype=rotations.dtype, device=rotations.device)
        bent = shaped + torch.einsum("bp,vcp->bvc", bend.flatten(1), self.correction)
        turns, shifts = self._motions(rotations, joints)
        turn = torch.einsum("vj,bjcd->bvcd", self.weights, turns)
        shift = torch.einsum("vj,bjc->bvc", self.weights, shifts)
        return (turn @ bent[..., None])[..., 0] + shift

    def _motions(self, rotations: torch.Tensor, joints: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Rotation (B, J, 3, 3) and shift (B, J, 3) that each joint applies to points of the unposed head."""
        turns, places = [rotations[:, 0]], [joints[:, 0]]
        for joint, parent in enumerate(self.parents[1:], start=1):
            arm = (joints[:, joint] - joints[:, parent])[..., None]
            places.append((turns[parent] @ arm)[..., 0] + places[parent])
            turns.append(turns[parent] @ rotations[:, joint])
        turn = torch.stack(turns, 1)
        return turn, torch.stack(places, 1) - (turn @ joints[..., None])[..., 0]

    def contour_rows(self, rotations: torch.Tensor) -> torch.Tensor:
        """(B,) row of the contour table for the rotation of the head, to the nearest degree about y, ±39 at most."""
        turn = -torch.rad2deg(deca_from_rotation(rotations[:, 0] @ rotations[:, 1])[:, 0]).clamp(
            -MAX_CONTOUR_DEG, MAX_CONTOUR_DEG
        )
        degrees = turn.round().long()
        return torch.where(degrees < 0, MAX_CONTOUR_DEG - degrees, degrees)

    def landmarks_seen(self, vertices: torch.Tensor, rotations: torch.Tensor) -> torch.Tensor:
        """68 landmarks (B, 68, 3) as a viewer marks them: the contour runs along the edge that is in sight."""
        rows = self.contour_rows(rotations)
        edge = SurfacePoints(self.contour.faces[rows], self.contour.weights[rows])
        return torch.cat([self._places(vertices, edge), self._places(vertices, self.inner)], 1)

    def landmarks_fixed(self, vertices: torch.Tensor) -> torch.Tensor:
        """68 landmarks (B, 68, 3) that are the same places of the surface in every pose."""
        return self._places(vertices, self.full)

    def _places(self, vertices: torch.Tensor, points: SurfacePoints) -> torch.Tensor:
        corners = self.triangles[points.faces].expand(len(vertices), -1, -1)
        batch = torch.arange(len(vertices), device=vertices.device)[:, None, None]
        return (vertices[batch, corners] * points.weights[..., None]).sum(-2)

    def posed(self, identity: torch.Tensor, expression: torch.Tensor, angles: torch.Tensor) -> PosedHead:
        """See `mien.face3d.shape.ShapeModel`; `expression` (B, 51) is the jaw in radians and 50 coefficients."""
        jaw = torch.nn.functional.pad(expression[:, :1], (0, 2))
        rotations = self._all_joints(rotation_from_angles(angles), rotation_from_axis_angle(jaw))
        vertices = self.vertices(identity, expression[:, 1:], rotations)
        landmarks = self.landmarks_seen(vertices, rotations)
        return PosedHead(to_pixels(vertices, PX_PER_METRE), to_pixels(landmarks, PX_PER_METRE))


def project(points: torch.Tensor, camera: torch.Tensor) -> torch.Tensor:
    """DECA's orthographic camera: s·(x + t_x, y + t_y, z), y and z negated, times 112 plus 112.

    Args:
        points: (B, N, 3) metres, head axes.
        camera: (B, 3) s, t_x, t_y.

    Returns:
        (B, N, 3) pixels of the 224-pixel frame.
    """
    scale, shift = camera[:, None, :1], torch.nn.functional.pad(camera[:, None, 1:], (0, 1))
    return to_pixels(scale * (points + shift), FRAME_PX / 2)
