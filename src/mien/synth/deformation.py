"""The head's shape: identity and expression to vertex positions, normals and eyeball rotations."""

from __future__ import annotations

import numpy as np
import scipy.sparse
import torch

from mien.geometry import rotation_from_angles
from mien.synth.assets import HeadMesh

GAZE_DEG = (28.0, 22.0)
"""Rotation of the eyeballs per unit of eyeLook, horizontally and vertically."""


def rotation_matrix(angles: np.ndarray) -> np.ndarray:
    """(3, 3) rotation of yaw, pitch, roll in radians; see `mien.geometry.rotation_from_angles`."""
    return rotation_from_angles(torch.as_tensor(angles, dtype=torch.float64)).numpy()


def fit_sphere(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Least-squares sphere through (N, 3) points: centre (3,) and radius."""
    points = points.astype(np.float64)
    system = np.column_stack([2 * points, np.ones(len(points))])
    solution = np.linalg.lstsq(system, (points**2).sum(1), rcond=None)[0]
    return solution[:3].astype(np.float32), float(np.sqrt(solution[3] + (solution[:3] ** 2).sum()))


class Deformer:
    """Moves the vertices of a head mesh."""

    def __init__(self, head: HeadMesh) -> None:
        self.head = head
        self._index = {name: i for i, name in enumerate(head.arkit_names)}
        rows = [head.arkit_to_expression[self._index[n]] for n in ("eyeBlinkLeft", "eyeBlinkRight")]
        self._blinks = [int(row.argmax()) for row in rows]
        self._triangles = np.concatenate(list(head.triangles.values()))
        welded = np.unique(head.welded, return_inverse=True)[1]
        corners = welded[self._triangles].reshape(-1)
        owners = np.repeat(np.arange(len(self._triangles)), 3)
        ones = np.ones(len(corners), np.float32)
        shape = (int(welded.max()) + 1, len(self._triangles))
        self._spread = scipy.sparse.csr_matrix((ones, (corners, owners)), shape=shape)[welded].tocsr()

    def coefficient(self, expression: np.ndarray, name: str) -> float:
        """One ARKit coefficient by name."""
        return float(expression[self._index[name]])

    def identify(self, identity: np.ndarray) -> np.ndarray:
        """(V, 3) float32 neutral positions in cm of an identity (100,)."""
        return self.head.rest + (identity @ self.head.identity).reshape(-1, 3)

    def express(self, base: np.ndarray, expression: np.ndarray, lid_rest: float = 0.0) -> np.ndarray:
        """Positions of a neutral head with an expression.

        Args:
            base: (V, 3) neutral positions.
            expression: (51,) ARKit coefficients.
            lid_rest: how far the lids are closed at blink 0; blink 1 is closed for everybody.

        Returns:
            (V, 3) float32 cm.
        """
        weights = expression.astype(np.float32) @ self.head.arkit_to_expression
        weights[self._blinks] = lid_rest + (1 - lid_rest) * weights[self._blinks]
        used = np.flatnonzero(weights)
        return base + (weights[used] @ self.head.expression[used]).reshape(-1, 3)

    def normals(self, positions: np.ndarray) -> np.ndarray:
        """(V, 3) area-weighted unit normals; vertices at one place share theirs."""
        a, b, c = (positions[self._triangles[:, k]] for k in range(3))
        u, v = b - a, c - a
        face = np.empty_like(u)
        # Written out: numpy.cross takes three times as long.
        face[:, 0] = u[:, 1] * v[:, 2] - u[:, 2] * v[:, 1]
        face[:, 1] = u[:, 2] * v[:, 0] - u[:, 0] * v[:, 2]
        face[:, 2] = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
        normals = self._spread @ face
        return normals / np.maximum(np.sqrt(np.einsum("ij,ij->i", normals, normals))[:, None], 1e-9)

    def gaze(self, expression: np.ndarray) -> list[np.ndarray]:
        """(3, 3) rotations of the subject's left and right eyeball out of straight ahead."""
        turns = []
        for side, sign in (("Left", 1.0), ("Right", -1.0)):
            look = {d: self.coefficient(expression, f"eyeLook{d}{side}") for d in ("In", "Out", "Up", "Down")}
            x, y = sign * (look["Out"] - look["In"]), look["Up"] - look["Down"]
            turns.append(rotation_matrix(np.radians([GAZE_DEG[0] * x, GAZE_DEG[1] * y, 0.0])))
        return turns
