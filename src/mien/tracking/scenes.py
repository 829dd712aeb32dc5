"""Training pictures of the detector: labelled faces pasted into backgrounds at random size, place and tilt."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from mien.tracking.augmentation import degrade, occlude
from mien.tracking.framing import box_from_landmarks, upright_frame
from mien.tracking.protocol import Box
from mien.tracking.samples import LabelledFace, Material, mirrored

_COUNT_ODDS = (0.15, 0.5, 0.22, 0.13)


def draw_scenes(
    materials: Sequence[Material], shares: Sequence[float], size: int, count: int, seed: int
) -> tuple[np.ndarray, list[list[Box]]]:
    """A batch of scenes; the same seed gives the same batch.

    Args:
        materials: where faces and backgrounds come from.
        shares: how often each is used; need not sum to one.
        size: side of a scene in pixels.
        count: scenes in the batch.
        seed: of this batch.

    Returns:
        uint8 (count, size, size, 3) and, per scene, the boxes of its faces in pixels.
    """
    rng = np.random.default_rng(seed)
    odds = np.asarray(shares, np.float64) / np.sum(shares)
    scenes = [_scene(materials, odds, size, rng) for _ in range(count)]
    return np.stack([picture for picture, _ in scenes]), [boxes for _, boxes in scenes]


def _scene(
    materials: Sequence[Material], odds: np.ndarray, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, list[Box]]:
    picture = background(size, rng, materials[int(rng.choice(len(materials), p=odds))])
    boxes: list[Box] = []
    for _ in range(int(rng.choice(len(_COUNT_ODDS), p=_COUNT_ODDS))):
        material = materials[int(rng.choice(len(materials), p=odds))]
        picture, boxes = _paste(picture, boxes, material, rng)
    if rng.random() < 0.2:
        picture = occlude(picture, rng)
    inside = [box for box in boxes if (box.centre >= 0).all() and (box.centre < size).all()]
    return degrade(picture, rng), inside


def _paste(
    picture: np.ndarray, boxes: list[Box], material: Material, rng: np.random.Generator
) -> tuple[np.ndarray, list[Box]]:
    """Add one face unless it would cover another one or has no room; small faces are as likely as large ones."""
    size = picture.shape[0]
    face = material.face(int(rng.integers(len(material))), rng)
    face = mirrored(face) if rng.random() < 0.5 else face
    source = box_from_landmarks(face.landmarks)
    side = float(np.exp(rng.uniform(np.log(13), np.log(size * (1.0 if not boxes else 0.4)))))
    tilt = np.radians(rng.normal(0, 12)) if rng.random() < 0.7 else np.radians(rng.uniform(-60, 60))
    low, high = min(side * 0.35, size / 2), max(size - side * 0.35, size / 2)
    place = rng.uniform(low, high, 2)
    scale = side / source.side
    linear = scale * np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    matrix = np.hstack([linear, (place - linear @ source.centre)[:, None]])
    offset = matrix[:, 2]
    fresh = box_from_landmarks(face.landmarks @ linear.T + offset)
    reach = Box.square(fresh.centre, fresh.side * 1.9)
    if any(box.overlap(fresh) > 0.02 or _covers(reach, box) for box in boxes):
        return picture, boxes
    matte = face.matte if face.matte is not None else _photograph_matte(face, rng)
    source_picture, source_matte = np.ascontiguousarray(face.picture), np.ascontiguousarray(matte)
    while np.sqrt(abs(np.linalg.det(matrix[:, :2]))) < 0.6:
        rows, columns = source_picture.shape[0] // 2, source_picture.shape[1] // 2
        source_picture = cv2.resize(source_picture, (columns, rows), interpolation=cv2.INTER_AREA)
        source_matte = cv2.resize(source_matte, (columns, rows), interpolation=cv2.INTER_AREA)
        matrix = np.hstack([matrix[:, :2] * 2, (matrix[:, 2] + matrix[:, :2] @ (0.5, 0.5))[:, None]])
    pasted = cv2.warpAffine(
        source_picture, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    alpha = (
        cv2.warpAffine(source_matte, matrix, (size, size), flags=cv2.INTER_LINEAR)[..., None].astype(np.float32) / 255
    )
    others = [box_from_landmarks(p @ linear.T + offset) for p in face.companions]
    return (pasted * alpha + picture * (1 - alpha)).astype(np.uint8), [*boxes, fresh, *others]


def _photograph_matte(face: LabelledFace, rng: np.random.Generator) -> np.ndarray:
    """The whole photograph, or a soft ellipse around the head so that straight edges are no sign of a face."""
    height, width = face.picture.shape[:2]
    if face.companions or rng.random() < 0.5:
        return np.full((height, width), 255, np.uint8)
    centre, side, tilt = upright_frame(face.landmarks)
    matte = np.zeros((height, width), np.uint8)
    axes = (int(side * rng.uniform(0.5, 0.75)), int(side * rng.uniform(0.65, 0.95)))
    middle = (int(centre[0]), int(centre[1] - 0.1 * side))
    cv2.ellipse(matte, middle, axes, float(np.degrees(tilt)), 0, 360, 255, -1)
    return cv2.GaussianBlur(matte, (0, 0), max(side * rng.uniform(0.01, 0.08), 0.5))


def _covers(reach: Box, box: Box) -> bool:
    """Whether a picture pasted with this reach would hide the middle of a face already there."""
    x, y = box.centre
    return reach.x0 < x < reach.x1 and reach.y0 < y < reach.y1


def background(size: int, rng: np.random.Generator, material: Material | None = None) -> np.ndarray:
    """A picture without a face: a patch of a real one where there is one, else gradients, blobs, lines and stripes."""
    patch = material.empty(rng) if material is not None and rng.random() < 0.5 else None
    if patch is not None:
        return cv2.resize(patch, (size, size), interpolation=cv2.INTER_LINEAR)
    cells = int(rng.integers(2, 14))
    coarse = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
    if rng.random() < 0.4:
        coarse = (coarse * 0.25 + rng.integers(0, 190, 3)).astype(np.uint8)
    picture = cv2.resize(
        coarse, (size, size), interpolation=cv2.INTER_CUBIC if rng.random() < 0.7 else cv2.INTER_NEAREST
    )
    for _ in range(int(rng.integers(0, 9))):
        skin = np.array([rng.integers(120, 245), rng.integers(80, 190), rng.integers(60, 160)])
        colour = tuple(int(c) for c in (skin if rng.random() < 0.5 else rng.integers(0, 256, 3)))
        x, y = (int(v) for v in rng.integers(0, size, 2))
        a, b = (int(v) for v in rng.integers(3, size // 3, 2))
        kind = rng.random()
        if kind < 0.5:
            cv2.ellipse(picture, (x, y), (a, b), float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
        elif kind < 0.8:
            cv2.rectangle(picture, (x, y), (x + a, y + b), colour, -1)
        else:
            cv2.line(picture, (x, y), (x + 3 * a - size // 2, y + 3 * b - size // 2), colour, int(rng.integers(1, 8)))
    return cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 2.5)) if rng.random() < 0.5 else picture
