"""Where hair grows, and the shoulders: the person-dependent geometry that is not part of the morphable head."""

from __future__ import annotations

import numpy as np

from mien.synth.people import Hair

_CROWN = np.array([0.0, 13.6, -2.0])
_EAR_X_CM = 8.15


def hair_margin(rest: np.ndarray, hair: Hair) -> np.ndarray:
    """Signed distance in cm into the haired scalp, positive where hair grows.

    The hairline is a height over azimuth: forehead, temples, sideburns, over and behind the ear, nape.

    Args:
        rest: (V, 3) points of the neutral mean head.
        hair: the hairline's parameters.

    Returns:
        (V,) float32.
    """
    azimuth = np.degrees(np.arctan2(np.abs(rest[:, 0]), rest[:, 2]))
    front, loss = hair.front, hair.recession
    knots = np.array(
        [
            [0, front + 0.35 * loss], [18, front + 0.6 * loss], [34, front + 0.1 + 1.0 * loss],
            [46, front - 1.0 + 0.8 * loss], [55, front - 2.6 + 0.5 * loss], [60, 6.3 + 0.2 * loss],
            [63, hair.sideburn + 0.6], [72, hair.sideburn], [77, 5.8], [97, 6.1], [104, 3.6], [114, 0.2],
            [128, hair.nape + 0.8], [180, hair.nape],
        ]
    )  # fmt: skip
    margin = rest[:, 1] - np.interp(azimuth, knots[:, 0], knots[:, 1])
    ear = (np.abs(rest[:, 0]) > _EAR_X_CM) & (rest[:, 1] < 7.2)
    margin = np.where(ear, -2.0, margin)
    if hair.crown_loss > 0:
        bare = 10.5 * hair.crown_loss
        margin = np.minimum(margin, np.linalg.norm(rest - _CROWN, axis=1) - bare)
    return margin.astype(np.float32)


def scalp_triangles(rest: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """The triangles on which any hairline can lie."""
    widest = Hair(
        mesh=None, colour=np.zeros(3), length=1.0, density=1.0, curl=0.0, comb=np.array([0.0, 0.0, -1.0]),
        front=9.0, recession=0.0, sideburn=0.0, nape=-5.5, crown_loss=0.0,
    )  # fmt: skip
    return triangles[(hair_margin(rest, widest)[triangles] > -1.2).any(1)]


def vertex_normals(positions: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(V, 3) area-weighted unit normals; for meshes that are prepared once per person."""
    corners = positions[triangles]
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    index = triangles.reshape(-1)
    total = np.stack([np.bincount(index, np.repeat(face[:, k], 3), len(positions)) for k in range(3)], -1)
    return (total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def strand_tangents(positions: np.ndarray, uv: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(V, 3) unit directions of growing v, along which the strands of a hair mesh run."""
    p, t = positions[triangles], uv[triangles]
    e1, e2 = p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]
    d1, d2 = t[:, 1] - t[:, 0], t[:, 2] - t[:, 0]
    area = d1[:, 0] * d2[:, 1] - d2[:, 0] * d1[:, 1]
    along = (e2 * d1[:, :1] - e1 * d2[:, :1]) * np.sign(area)[:, None]
    index = triangles.reshape(-1)
    total = np.stack([np.bincount(index, np.repeat(along[:, k], 3), len(positions)) for k in range(3)], -1)
    return (total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9)).astype(np.float32)


_RINGS = np.array(
    # height, half width, half depth, centre z (cm)
    [
        [-9.9, 6.15, 6.4, -1.9], [-11.2, 7.0, 7.2, -2.3], [-12.4, 10.2, 7.8, -2.8], [-13.4, 13.6, 8.5, -2.7],
        [-14.8, 17.0, 9.4, -2.7], [-16.6, 19.6, 10.2, -2.7], [-20.0, 21.4, 11.0, -2.7], [-30.0, 22.0, 11.5, -2.6],
        [-44.0, 21.0, 11.5, -2.6],
    ]
)  # fmt: skip


def torso_mesh(neckline: float, around: int = 48) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clothed shoulders as rings around the neck.

    Args:
        neckline: how far the front of the collar hangs below the neck, cm.
        around: vertices per ring.

    Returns:
        vertices (V, 3), triangles (T, 3), and (V, 2) of angle and height below the collar in rings (0..1).
    """
    angle = np.linspace(0, 2 * np.pi, around, endpoint=False)
    height, width, depth, centre = (column[:, None] for column in _RINGS.T)
    x = width * np.sin(angle)
    z = centre + depth * np.cos(angle) * (1 - 0.10 * np.abs(np.sin(angle)))
    front = np.maximum(np.cos(angle), 0) ** 2
    share = np.linspace(1, 0, len(_RINGS))[:, None] ** 2.5
    y = np.broadcast_to(height, x.shape) - neckline * front * share + 0.6 * share * np.maximum(-np.cos(angle), 0)
    z = z + 0.35 * neckline * front * share
    vertices = np.stack([x, y, z], -1).reshape(-1, 3).astype(np.float32)
    ring = np.arange(len(_RINGS) - 1)[:, None] * around
    here, there = np.arange(around)[None], (np.arange(around)[None] + 1) % around
    a, b, c, d = ring + here, ring + there, ring + around + there, ring + around + here
    triangles = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    grid = np.stack(np.meshgrid(angle / (2 * np.pi), np.linspace(0, 1, len(_RINGS))), -1)
    return vertices, triangles.astype(np.int32), grid.reshape(-1, 2).astype(np.float32)
