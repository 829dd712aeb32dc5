"""The parts of a photographed head besides its face: colour and size of its back, and how its sheet hangs on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from mien.synth.cutout import RING
from mien.synth.deformation import rotation_matrix
from mien.synth.framing import PIVOT_CM
from mien.synth.photograph import PhotoHead
from mien.synth.unwrapping import smoothstep

_SKULL_CENTRE = np.array([0.0, 4.0, 0.0])
_FADE_BELOW_CHIN_CM = 9.5


def ring_values(points: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """(N, C) values by direction around the head's middle, of (RING, C), at points (N, 3) in head axes."""
    angle = np.arctan2(points[:, 1] - _SKULL_CENTRE[1], points[:, 0]) / (2 * np.pi) * RING
    low = np.floor(angle).astype(int)
    part = (angle - low)[:, None]
    return ring[low % RING] * (1 - part) + ring[(low + 1) % RING] * part


def skull_colour(points: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """(N, 3) colours of the back of a head at points (N, 3): what its edge shows, and behind the ears its hair."""
    angle = 2 * np.pi * np.arange(RING) / RING
    hair = np.median(ring[np.sin(angle) > 0.6], 0)
    behind = smoothstep(2.5, -1.5, points[:, 2]) * smoothstep(-4.5, -1.5, points[:, 1])
    return ring_values(points, ring) + behind[:, None] * (hair - ring_values(points, ring))


@dataclass(frozen=True)
class HungSheet:
    """How the sheet of one photograph hangs on its head.

    Attributes:
        turn: (3, 3) rotation of the head in the photograph.
        body: (GRID², 3) cm from the neck's pivot, axes of the photograph's camera.
        share: (GRID²,) how far each vertex follows the head.
        near, weights: (GRID², 6) vertices of the head and how far their displacement counts.
        normals: (GRID², 3) head axes.
    """

    turn: np.ndarray
    body: np.ndarray
    share: np.ndarray
    near: np.ndarray
    weights: np.ndarray
    normals: np.ndarray


def hang_sheet(photo: PhotoHead, own: np.ndarray, chin: float) -> HungSheet:
    """Where the sheet of a photograph is, and which skin it follows; the same for all scenes of one photograph.

    Args:
        photo: the photograph.
        own: (V, 3) neutral positions of the photographed shape, head axes, cm.
        chin: height of its chin: above it the sheet turns with the head, from there down less and less.
    """
    turn = rotation_matrix(photo.angles)
    body = photo.sheet()
    local = body @ turn + PIVOT_CM
    share = smoothstep(chin - _FADE_BELOW_CHIN_CM, chin, local[:, 1])
    distance, near = KDTree(own).query(local, 6)
    weights = 1 / (distance + 0.3)
    weights *= share[:, None] / weights.sum(1, keepdims=True)
    normals = (local - [0.0, 2.0, 0.0]) / np.array([7.5, 11.0, 9.0]) ** 2
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return HungSheet(turn, body, share, np.asarray(near), weights.astype(np.float32), normals)
