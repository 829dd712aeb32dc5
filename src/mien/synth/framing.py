"""Where head and shoulders stand before the camera, and the projection that makes the picture the `head` crop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np

from mien.alignment.crop import head_crop
from mien.synth.deformation import rotation_matrix
from mien.synth.scenery import Camera

PIVOT_CM = np.array([0.0, -6.0, -1.5])
"""The point of the neck about which heads turn."""
HEAD_CENTRE_CM = np.array([0.0, 2.0, 4.0])
BODY_SHARE = np.array([0.22, 0.12, 0.15])
"""Share of the head's angles that the shoulders follow."""
_FOCAL_PX = 1000.0
_NEAR_CM, _FAR_CM = 28.0, 50.0
_HIDDEN_CM = 0.45


class Placed(Protocol):
    """What framing needs to know of a scene: its camera, and the radians by which the shoulders turn away from it."""

    @property
    def camera(self) -> Camera: ...
    @property
    def body_yaw(self) -> float: ...


@dataclass(frozen=True)
class Framing:
    """Projection of one frame.

    Attributes:
        offset: (3,) cm that centre the head before the camera.
        scale, shift: map of the loose frame (focal length 1000 px, origin on the axis) to pixels of the picture.
    """

    offset: np.ndarray
    scale: float
    shift: np.ndarray

    def jittered(self, jitter: np.ndarray, size: int) -> Framing:
        """Moved by (x, y) shares of the side and enlarged about the middle by 1 + jitter[2]."""
        zoom, middle = 1 + jitter[2], (size - 1) / 2
        return Framing(self.offset, self.scale * zoom, (self.shift - middle) * zoom + middle + jitter[:2] * size)


@dataclass(frozen=True)
class View:
    """A posed head before the camera.

    Attributes:
        rotation: (3, 3) of the head.
        landmarks: (68, 3) pixels of the picture and distance from the camera in cm.
        uniforms: what the shaders need to know.
    """

    rotation: np.ndarray
    landmarks: np.ndarray
    uniforms: dict[str, Any]


def _pose(points: np.ndarray, rotation: np.ndarray, offset: np.ndarray) -> np.ndarray:
    return (points - PIVOT_CM) @ rotation.T + PIVOT_CM + offset


def _project(points: np.ndarray, distance: float) -> np.ndarray:
    """(N, 2) pixels of the loose frame."""
    return _FOCAL_PX * points[:, :2] * (1, -1) / (distance - points[:, 2])[:, None]


def crop_framing(scene: Placed, landmarks_cm: np.ndarray, angles: np.ndarray, size: int) -> Framing:
    """The framing whose picture is the `head` crop of the given landmarks.

    Args:
        scene: for its camera.
        landmarks_cm: (68, 3) in head axes.
        angles: (3,) radians.
        size: side of the picture in pixels.
    """
    rotation = rotation_matrix(angles)
    centre = _pose(HEAD_CENTRE_CM[None], rotation, np.zeros(3))[0]
    offset = np.array([*scene.camera.offset, 0.0]) - centre
    loose = _project(_pose(landmarks_cm, rotation, offset), scene.camera.distance)
    crop = head_crop(loose, angles, size)
    return Framing(offset, float(crop.matrix[0, 0]), crop.matrix[:, 2])


def view_head(scene: Placed, landmarks_cm: np.ndarray, angles: np.ndarray, framing: Framing, size: int) -> View:
    """Pose a head and project its landmarks.

    Args:
        scene: for its camera and the stance of its body.
        landmarks_cm: (68, 3) in head axes.
        angles: (3,) radians.
        framing: the projection.
        size: side of the picture in pixels.
    """
    rotation = rotation_matrix(angles)
    body = rotation_matrix(angles * BODY_SHARE + np.array([scene.body_yaw, 0.0, 0.0]))
    distance = scene.camera.distance
    points = _pose(landmarks_cm, rotation, framing.offset)
    pixels = _project(points, distance) * framing.scale + framing.shift
    near, far, span = distance - _NEAR_CM, distance + _FAR_CM, _FAR_CM + _NEAR_CM
    uniforms = {
        "head_rotation": rotation, "body_rotation": body, "turn": rotation, "pivot": PIVOT_CM,
        "offset": framing.offset,
        "frame": np.array([*[2 * framing.scale * _FOCAL_PX / size] * 2, *((2 * framing.shift + 1) / size - 1)]),
        "lens": np.array([distance, (far + near) / span, -2 * far * near / span]),
    }  # fmt: skip
    return View(rotation, np.column_stack([pixels, distance - points[:, 2]]), uniforms)


def visible_landmarks(view: View, depth: np.ndarray, distance: float, supersample: int) -> np.ndarray:
    """(68,) bool: in the picture and not behind anything drawn.

    Args:
        view: for its landmarks.
        depth: (S, S) float32 depth buffer, 0..1.
        distance: of the camera in cm.
        supersample: depth samples per pixel and axis.
    """
    near, far = distance - _NEAR_CM, distance + _FAR_CM
    surface = 2 * far * near / ((far + near) - (2 * depth - 1) * (far - near))
    surface = cv2.dilate(surface, np.ones((3, 3), np.uint8))
    cells = np.rint((view.landmarks[:, :2] + 0.5) * supersample - 0.5).astype(int)
    inside = ((cells >= 0) & (cells < len(depth))).all(1)
    cells = np.clip(cells, 0, len(depth) - 1)
    return inside & (view.landmarks[:, 2] < surface[cells[:, 1], cells[:, 0]] + _HIDDEN_CM)
