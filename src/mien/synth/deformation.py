"""The head's shape: identity and expression to vertex positions, normals and eyeball rotations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph
import torch
from scipy.spatial import KDTree

from mien.geometry import rotation_from_angles
from mien.synth.assets import EYE_LEFT, EYE_RIGHT, FACE, LASHES, HeadMesh

GAZE_DEG = (28.0, 22.0)
"""Rotation of the eyeballs per unit of eyeLook, horizontally and vertically."""
_LID_REACH_CM = 2.4
_LID_THICKNESS_CM = 0.06
_LASH_LENGTH = 0.45
"""Share of the modelled lashes' length: as they are, closed eyes look half open at small sizes."""
_LID_PAIRS = np.array([[[43, 47], [44, 46]], [[37, 41], [38, 40]]])
"""Upper and lower landmarks of the subject's left and right eye."""


@dataclass(frozen=True)
class Eyeball:
    """A sphere in head axes, cm."""

    centre: np.ndarray
    radius: float


def rotation_matrix(angles: np.ndarray) -> np.ndarray:
    """(3, 3) rotation of yaw, pitch, roll in radians; see `mien.geometry.rotation_from_angles`."""
    return rotation_from_angles(torch.as_tensor(angles, dtype=torch.float64)).numpy()


def fit_sphere(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Least-squares sphere through (N, 3) points: centre (3,) and radius."""
    points = points.astype(np.float64)
    system = np.column_stack([2 * points, np.ones(len(points))])
    solution = np.linalg.lstsq(system, (points**2).sum(1), rcond=None)[0]
    return solution[:3].astype(np.float32), float(np.sqrt(solution[3] + (solution[:3] ** 2).sum()))


@dataclass(frozen=True)
class Lids:
    """How ARKit's blink maps to the shape of one person's lids.

    Attributes:
        rest: closure at blink 0.
        full: (2,) weights of the left and right blink shape at which the lids meet: linear shapes made for the mean
            head do not quite close every identity's eyes.
    """

    rest: float = 0.0
    full: tuple[float, float] = (1.0, 1.0)


def _find_lash_roots(head: HeadMesh) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the lashes, and for each the row of the lash vertex at the lid's edge from which it grows.

    Lashes are strips: u runs along the lid, v from the root to the tip.
    """
    rows = np.flatnonzero(head.kind == LASHES)
    triangles = head.triangles[LASHES]
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]]])
    links = scipy.sparse.coo_matrix((np.ones(len(edges)), edges.T), shape=(len(head.rest), len(head.rest)))
    strip = scipy.sparse.csgraph.connected_components(links, directed=False)[1][rows]
    distance = KDTree(head.rest[head.kind == FACE]).query(head.rest[rows])[0]
    roots = rows.copy()
    for label in np.unique(strip):
        inside = np.flatnonzero(strip == label)
        level = np.round(head.uv[rows[inside], 1], 3)
        near = min(np.unique(level), key=lambda v, inside=inside, level=level: distance[inside[level == v]].mean())
        edge = inside[level == near]
        along = head.uv[rows[inside], 0][:, None] - head.uv[rows[edge], 0][None]
        roots[inside] = rows[edge[np.abs(along).argmin(1)]]
    return rows, roots


class Deformer:
    """Moves the vertices of a head mesh."""

    def __init__(self, head: HeadMesh) -> None:
        self.head = head
        self._index = {name: i for i, name in enumerate(head.arkit_names)}
        rows = [head.arkit_to_expression[self._index[n]] for n in ("eyeBlinkLeft", "eyeBlinkRight")]
        self._blinks = [int(row.argmax()) for row in rows]
        self._eyes = [np.flatnonzero(head.kind == kind) for kind in (EYE_LEFT, EYE_RIGHT)]
        self._lids = [self._find_lids(rows) for rows in self._eyes]
        self._lashes, self._lash_roots = _find_lash_roots(head)
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

    def _find_lids(self, eye: np.ndarray) -> np.ndarray:
        """Rows of the skin and lashes that slide over an eyeball."""
        head = self.head
        centre, _ = fit_sphere(head.rest[eye])
        near = np.linalg.norm(head.rest - centre, axis=1) < _LID_REACH_CM
        return np.flatnonzero(near & ((head.kind == FACE) | (head.kind == LASHES)))

    def identify(self, identity: np.ndarray) -> np.ndarray:
        """(V, 3) float32 neutral positions in cm of an identity (100,)."""
        return self.head.rest + (identity @ self.head.identity).reshape(-1, 3)

    def eyeballs(self, base: np.ndarray) -> tuple[Eyeball, Eyeball]:
        """The subject's left and right eyeball of neutral positions (V, 3)."""
        left, right = (Eyeball(*fit_sphere(base[rows])) for rows in self._eyes)
        return left, right

    def seat_eyes(self, positions: np.ndarray, eyeballs: tuple[Eyeball, Eyeball]) -> np.ndarray:
        """Make eyeballs round, push lids out of them (linear shapes cut through some identities' eyes), trim lashes.

        Args:
            positions: (V, 3) cm; changed in place and returned.
            eyeballs: left and right.
        """
        for eye, rows, lids in zip(eyeballs, self._eyes, self._lids, strict=True):
            spokes = positions[rows] - eye.centre
            lengths = np.linalg.norm(spokes, axis=1, keepdims=True)
            positions[rows] = eye.centre + spokes * (eye.radius / lengths)
            spokes = positions[lids] - eye.centre
            lengths = np.linalg.norm(spokes, axis=1, keepdims=True)
            pushed = np.maximum(lengths, eye.radius + _LID_THICKNESS_CM) / lengths
            positions[lids] = eye.centre + spokes * np.where(spokes[:, 2:] > 0, pushed, 1.0)
        roots = positions[self._lash_roots]
        positions[self._lashes] = roots + _LASH_LENGTH * (positions[self._lashes] - roots)
        return positions

    def fit_lids(self, base: np.ndarray, rest: float) -> Lids:
        """Lids that meet at blink 1 as the mean head's do.

        Args:
            base: (V, 3) neutral positions.
            rest: closure at blink 0.
        """

        def gaps(positions: np.ndarray) -> np.ndarray:
            height = positions[self.head.landmarks, 1][_LID_PAIRS]
            return (height[..., 0] - height[..., 1]).max(1)

        closed = np.array([float(n.startswith("eyeBlink")) for n in self.head.arkit_names])
        opened, shut = gaps(base), gaps(self.express(base, closed))
        target = gaps(self.express(self.head.rest, closed)) - 0.03
        full = np.clip((opened - target) / np.maximum(opened - shut, 1e-3), 1.0, 1.6)
        return Lids(rest, (float(full[0]), float(full[1])))

    def express(self, base: np.ndarray, expression: np.ndarray, lids: Lids | None = None) -> np.ndarray:
        """Positions of a neutral head with an expression.

        Args:
            base: (V, 3) neutral positions.
            expression: (51,) ARKit coefficients.
            lids: how this person blinks; by default the shapes as they are.

        Returns:
            (V, 3) float32 cm.
        """
        weights = expression.astype(np.float32) @ self.head.arkit_to_expression
        if lids is not None:
            weights[self._blinks] = lids.rest + (np.array(lids.full) - lids.rest) * weights[self._blinks]
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
