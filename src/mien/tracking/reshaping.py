"""Real faces with other expressions, turned a little: photographs warped by the displacements of the ICT head.

Photographs rarely show open mouths or closed eyes, and MediaPipe's scores for them are rough. Moving the points of a
labelled face by known ICT weights, and the picture with them, gives real skin and light with a known change. A turn of
a few degrees moves the points by their depth; what is not face (hair, ears, shoulders) only gives way.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy.interpolate import LinearNDInterpolator

from mien.face3d.params import ARKIT_NAMES
from mien.geometry import angles_from_rotation, rotation_from_angles

_UPPER_LIDS = (246, 161, 160, 159, 158, 157, 173, 466, 388, 387, 386, 385, 384, 398)
_LOWER_LIDS = (7, 163, 144, 145, 153, 154, 155, 249, 390, 373, 374, 380, 381, 382)
_INNER_LIPS = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
_INDEX = {name: i for i, name in enumerate(ARKIT_NAMES)}
_CHOICES = (
    ("mouthPucker",), ("mouthFunnel",), ("mouthLeft",), ("mouthRight",), ("mouthUpperUpLeft", "mouthUpperUpRight"),
    ("mouthLowerDownLeft", "mouthLowerDownRight"), ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    ("browDownLeft", "browDownRight"), ("mouthFrownLeft", "mouthFrownRight"), ("mouthSmileLeft", "mouthSmileRight"),
    ("mouthSmileLeft", "mouthSmileRight"), ("mouthStretchLeft", "mouthStretchRight"),
    ("mouthRollLower", "mouthRollUpper"),
)  # fmt: skip
_GRID_PX = 2
_SIDES = (234, 454)
"""Where the cheeks end before the ears: heads are turned about the middle between them."""


@dataclass(frozen=True)
class HeadTable:
    """The ICT head at MediaPipe's points.

    Attributes:
        index: (P,) which of the 478 points are known.
        shape: (P, 3) mean head in centimetres.
        spread: (P,) how far the correspondence may be off, in centimetres.
        expression: (51, P, 3) displacement at weight 1, or None where only the mean head is needed.
    """

    index: np.ndarray
    shape: np.ndarray
    spread: np.ndarray
    expression: np.ndarray | None


def load_head_table(head: Path, with_expression: bool = False) -> HeadTable:
    """Read `ict_facekit.npz` and `mediapipe_to_ict.json` of the data pack's `head` folder."""
    table = json.loads((head / "mediapipe_to_ict.json").read_text())
    vertex = list(table["vertex"].values())
    with np.load(head / "ict_facekit.npz") as model:
        shape, expression = model["neutral"][vertex].astype(np.float64), None
        if with_expression:
            deltas = model["expression_q"][:, vertex].astype(np.float64) * model["expression_scale"][:, None, None]
            expression = np.tensordot(model["mediapipe_to_expression"][1:].astype(np.float64), deltas, 1)
    spread = np.array([table["spread_cm"][key] for key in table["vertex"]])
    return HeadTable(np.array([int(key) for key in table["vertex"]]), shape, spread, expression)


def random_change(expression: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(51,) weights to add to an expression: often an open jaw, often closing lids, sometimes something else.

    Args:
        expression: (51,) the face as it is; no sum exceeds 1.
        rng: source of all choices.
    """
    change = np.zeros(len(ARKIT_NAMES))
    if rng.random() < 0.55:
        change[_INDEX["jawOpen"]] = rng.beta(1.2, 1.6)
    if rng.random() < 0.5:
        lids = rng.uniform(0.75, 1.0) if rng.random() < 0.6 else rng.uniform(0.1, 0.75)
        for name in ("eyeBlinkLeft", "eyeBlinkRight"):
            change[_INDEX[name]] = lids * (1 - expression[_INDEX[name]])
    if rng.random() < 0.5:
        strength = rng.uniform(0.15, 0.9)
        for name in _CHOICES[int(rng.integers(len(_CHOICES)))]:
            change[_INDEX[name]] = strength
    return np.clip(change, 0, np.clip(1 - expression, 0, 1))


def reshape_face(
    picture: np.ndarray,
    points: np.ndarray,
    angles: np.ndarray,
    expression: np.ndarray,
    change: np.ndarray,
    table: HeadTable,
    turn: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Warp a face so that its expression changes by ICT weights, and turn it.

    Args:
        picture: uint8 (H, W, 3).
        points: (478, 3) MediaPipe's points in pixels.
        angles: (3,) of the head, radians.
        expression: (51,) the face as it is.
        change: (51,) weights to add.
        table: with expressions.
        turn: (3,) yaw, pitch, roll in radians of a rotation that comes after that of the head; a few degrees.

    Returns:
        The picture and the moved points (478, 3).
    """
    moved = _move(points, angles, expression, change, table)
    if turn is not None:
        moved = _turned(moved, turn)
    height, width = picture.shape[:2]
    edge = np.linspace(0, 1, 7)
    frame = np.unique([(x * (width - 1), y * (height - 1)) for x in edge for y in edge if {x, y} & {0.0, 1.0}], axis=0)
    target = np.concatenate([moved[table.index, :2], frame])
    shift = np.concatenate([(points - moved)[table.index, :2], np.zeros_like(frame)])
    target = target + np.random.default_rng(0).normal(0, 1e-3, target.shape)  # points that met must not coincide
    y, x = np.mgrid[0 : height + _GRID_PX : _GRID_PX, 0 : width + _GRID_PX : _GRID_PX].astype(np.float64)
    field = LinearNDInterpolator(target, shift, fill_value=0.0)(x, y).astype(np.float32)
    full_x, full_y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    flow = cv2.remap(field, full_x / _GRID_PX, full_y / _GRID_PX, cv2.INTER_LINEAR)
    warped = cv2.remap(
        picture, full_x + flow[..., 0], full_y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return _open_mouth(warped, points[list(_INNER_LIPS), :2], moved[list(_INNER_LIPS), :2]), moved


def _move(
    points: np.ndarray, angles: np.ndarray, expression: np.ndarray, change: np.ndarray, table: HeadTable
) -> np.ndarray:
    """Points after the change; lids close onto each other instead, because eyes differ in height."""
    if table.expression is None:
        raise ValueError("reshaping needs a head table with expressions")
    seen = points[table.index]
    weight = 1 / (1 + (table.spread / 0.25) ** 2)
    scale = np.sqrt(
        (weight[:, None] * (seen - np.average(seen, 0, weight)) ** 2).sum()
        / (weight[:, None] * (table.shape - np.average(table.shape, 0, weight)) ** 2).sum()
    )
    rotation = rotation_from_angles(torch.from_numpy(np.asarray(angles, np.float64))).numpy()
    displacement = np.tensordot(change, table.expression, 1) @ rotation.T * scale
    moved = points.copy()
    moved[table.index] += displacement * (1.0, -1.0, -1.0)
    half = len(_UPPER_LIDS) // 2
    for part, name in ((slice(0, half), "eyeBlinkRight"), (slice(half, None), "eyeBlinkLeft")):
        upper, lower = list(_UPPER_LIDS[part]), list(_LOWER_LIDS[part])
        closing = change[_INDEX[name]] / max(1 - expression[_INDEX[name]], 0.05)
        moved[upper] = points[upper] + closing * 0.94 * (points[lower] - points[upper])
        moved[lower] = points[lower]
    return moved


def turned_by(angles: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """(3,) angles of a head after a further rotation about the axes of the picture, all in radians."""
    further, before = (rotation_from_angles(torch.from_numpy(np.asarray(a, np.float64))) for a in (turn, angles))
    return angles_from_rotation(further @ before).numpy()


def _turned(points: np.ndarray, turn: np.ndarray) -> np.ndarray:
    axes = np.array([1.0, -1.0, -1.0])  # pixels have y down and z away from the viewer
    middle = points[list(_SIDES)].mean(0)
    rotation = rotation_from_angles(torch.from_numpy(np.asarray(turn, np.float64))).numpy()
    return ((points - middle) * axes) @ rotation.T * axes + middle


def _open_mouth(picture: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Darken the inside of a mouth that was closed before, with upper teeth where it is wide open."""
    area, area_before = (float(cv2.contourArea(p.astype(np.float32))) for p in (after, before))
    if area < 4 or area_before > 0.3 * area:
        return picture
    height = np.ptp(after[:, 1])
    inside, teeth = np.zeros(picture.shape[:2], np.uint8), np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.round(after * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
    cv2.fillPoly(teeth, [np.round((after - (0, 0.72 * height)) * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
    light = float(picture.mean()) / 255
    mouth = picture * (1 - inside[..., None] / 255.0) + np.array([70, 30, 30]) * light * (inside[..., None] / 255.0)
    share = (np.minimum(inside, teeth) / 255.0)[..., None] * 0.85
    return (mouth * (1 - share) + np.array([225, 215, 205]) * min(1.3 * light, 1.0) * share).astype(np.uint8)
