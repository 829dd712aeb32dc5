"""Training samples of the face regressor: random crops around labelled faces, and crops without one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
import torch

from mien.face3d.mirroring import MIRRORED_COEFFICIENTS, MIRRORED_LANDMARKS
from mien.face3d.params import ARKIT_NAMES
from mien.geometry import turned_angles
from mien.tracking.augmentation import degrade, enlarge, occlude, shift_colours
from mien.tracking.framing import crop_matrix, upright_frame

EMPTY_SHARE = 0.14
CLEAN_SHARE = 0.4
"""Crops that are only recoloured: most pictures that a tracker meets are good, and small movements show in them."""

ENLARGED_LEAST = 0.3
"""The smallest face that an enlarged crop may come from, as a share of its size."""


@dataclass(frozen=True, kw_only=True)
class LabelledFace:
    """One face in one picture with what is known about it.

    Attributes:
        picture: uint8 (H, W, 3) RGB.
        landmarks: (68, 2) pixels of `picture`.
        angles: (3,) yaw, pitch, roll in radians.
        expression: (51,) ICT weights, 0 to 1.
        trust: (3,) how much landmarks, angles and expression count.
        known: (51,) how much each coefficient counts, 0 to 1.
        matte: uint8 (H, W), 255 on the head, or None when the whole picture belongs together.
        companions: (68, 2) points of the other faces of the picture.
    """

    picture: np.ndarray
    landmarks: np.ndarray
    angles: np.ndarray
    expression: np.ndarray
    trust: np.ndarray
    known: np.ndarray
    matte: np.ndarray | None = None
    companions: tuple[np.ndarray, ...] = ()


class Material(Protocol):
    """A numbered collection of labelled faces."""

    def __len__(self) -> int: ...

    def face(self, index: int, rng: np.random.Generator) -> LabelledFace:
        """One face; `rng` may choose among stored resolutions."""
        ...

    def empty(self, rng: np.random.Generator) -> np.ndarray | None:
        """A random uint8 patch without a face, or None when there is nothing to take it from."""
        ...


@dataclass(frozen=True, kw_only=True)
class CropBatch:
    """B crops with targets, all torch tensors.

    Attributes:
        crops: (B, S, S, 3) uint8.
        landmarks: (B, 68, 2) in half-sides from the crop's middle.
        angles: (B, 3) radians, as seen in the crop.
        expression: (B, 51).
        trust: (B, 3) weights of landmarks, angles, expression; zero in crops without a face.
        known: (B, 51).
        presence: (B,) 0 or 1.
    """

    crops: torch.Tensor
    landmarks: torch.Tensor
    angles: torch.Tensor
    expression: torch.Tensor
    trust: torch.Tensor
    known: torch.Tensor
    presence: torch.Tensor


def mirrored(face: LabelledFace) -> LabelledFace:
    """The face in a mirror: picture, points, angles and coefficients."""
    edge = (face.picture.shape[1] - 1, 0)
    landmarks, *companions = [p[MIRRORED_LANDMARKS] * (-1, 1) + edge for p in (face.landmarks, *face.companions)]
    return LabelledFace(
        picture=cv2.flip(face.picture, 1),
        landmarks=landmarks,
        angles=face.angles * (-1, 1, -1),
        expression=face.expression[MIRRORED_COEFFICIENTS],
        trust=face.trust,
        known=face.known[MIRRORED_COEFFICIENTS],
        matte=None if face.matte is None else cv2.flip(face.matte, 1),
        companions=tuple(companions),
    )


def draw_crops(materials: Sequence[Material], shares: Sequence[float], size: int, count: int, seed: int) -> CropBatch:
    """A batch of random crops; the same seed gives the same batch.

    Args:
        materials: where faces come from.
        shares: how often each is used; need not sum to one.
        size: side of a crop in pixels.
        count: crops in the batch; a share of EMPTY_SHARE is without a face.
        seed: of this batch.
    """
    rng = np.random.default_rng(seed)
    odds = np.asarray(shares, np.float64) / np.sum(shares)
    rows = []
    for _ in range(count):
        material = materials[int(rng.choice(len(materials), p=odds))]
        is_face = rng.random() > EMPTY_SHARE
        row = _face_row(material, size, rng) if is_face else _empty_row(material, size, rng)
        if rng.random() < CLEAN_SHARE:
            rows.append((shift_colours(row[0], rng), *row[1:]))
            continue
        texture = rows[int(rng.integers(len(rows)))][0] if rows else None
        crop = occlude(row[0], rng, texture) if rng.random() < 0.2 else row[0]
        rows.append((degrade(crop, rng), *row[1:]))
    return _batch(rows)


def _batch(rows: Sequence[tuple[Any, ...]]) -> CropBatch:
    crops, landmarks, angles, tilts, expression, trust, known, presence = (
        np.stack(column) for column in zip(*rows, strict=True)
    )
    as_float = [torch.from_numpy(a.astype(np.float32)) for a in (landmarks, angles, tilts, expression, trust, known)]
    return CropBatch(
        crops=torch.from_numpy(crops),
        landmarks=as_float[0],
        angles=turned_angles(as_float[1], as_float[2]),
        expression=as_float[3],
        trust=as_float[4],
        known=as_float[5],
        presence=torch.from_numpy(presence.astype(np.float32)),
    )


def draw_twins(pairs: Sequence[tuple[LabelledFace, LabelledFace]], size: int, seed: int) -> CropBatch:
    """Crops of faces that differ little, two by two: rows 2k and 2k + 1 show pair k, each in a second look's square.

    Both are placed and disturbed independently, as two frames of one video are.

    Args:
        pairs: two pictures of one person.
        size: side of a crop in pixels.
        seed: of this batch.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for pair in pairs:
        first, second = (mirrored(face) for face in pair) if rng.random() < 0.5 else pair
        strength = rng.random()
        for face in (first, second):
            matrix, turn = _framing(face, size, rng, is_second_look=True)
            crop, *labels = _labelled_crop(face, matrix, turn, size, None)
            rows.append((crop if strength < CLEAN_SHARE else degrade(crop, rng), *labels))
    return _batch(rows)


def draw_enlarged(faces: Sequence[LabelledFace], size: int, seed: int, alike: int = 1) -> CropBatch:
    """One crop of each face in a second look's square, as sharp as its picture is or as a small face enlarged.

    Args:
        faces: whom to cut out.
        size: side of a crop in pixels.
        seed: of this batch.
        alike: so many successive faces are mirrored and reduced alike, as two frames of one video are.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for start in range(0, len(faces), alike):
        is_mirrored, is_clean, reduction = rng.random() < 0.5, rng.random() < CLEAN_SHARE, rng.random()
        for face in faces[start : start + alike]:
            face = mirrored(face) if is_mirrored else face
            matrix, turn = _framing(face, size, rng, is_second_look=True)
            crop, *labels = _labelled_crop(face, matrix, turn, size, None)
            factor = float(ENLARGED_LEAST**reduction)
            rows.append((shift_colours(crop, rng) if is_clean else enlarge(crop, factor, rng), *labels))
    return _batch(rows)


def draw_faces(
    materials: Sequence[Material], shares: Sequence[float], count: int, rng: np.random.Generator
) -> list[LabelledFace]:
    """`count` random faces, each material used as often as its share says."""
    odds = np.asarray(shares, np.float64) / np.sum(shares)
    chosen = (materials[int(i)] for i in rng.choice(len(materials), count, p=odds))
    return [material.face(int(rng.integers(len(material))), rng) for material in chosen]


def _framing(
    face: LabelledFace, size: int, rng: np.random.Generator, *, is_second_look: bool
) -> tuple[np.ndarray, float]:
    """Matrix (2, 3) and turn in radians of a crop: straightened (second look), or with its natural or a large tilt."""
    centre, side, tilt = upright_frame(face.landmarks)
    if is_second_look:
        turn, spread, shift = tilt + np.radians(rng.normal(0, 5)), rng.normal(0, 0.05), rng.normal(0, 0.03, 2)
    else:
        turn = tilt + np.radians(rng.uniform(-65, 65)) if rng.random() < 0.5 else np.radians(rng.normal(0, 8))
        spread, shift = rng.normal(0, 0.14), rng.normal(0, 0.07, 2)
    return crop_matrix(centre + shift * side, side * float(np.exp(spread)), turn, size), turn


def _face_row(material: Material, size: int, rng: np.random.Generator) -> tuple[Any, ...]:
    """One crop with a face."""
    face = material.face(int(rng.integers(len(material))), rng)
    if rng.random() < 0.5:
        face = mirrored(face)
    matrix, turn = _framing(face, size, rng, is_second_look=rng.random() < 0.6)
    backdrop = material.empty(rng) if face.matte is not None and rng.random() < 0.5 else None
    return _labelled_crop(face, matrix, turn, size, backdrop)


def _labelled_crop(
    face: LabelledFace, matrix: np.ndarray, turn: float, size: int, backdrop: np.ndarray | None
) -> tuple[Any, ...]:
    crop = _warped(face, matrix, size, backdrop)
    points = (face.landmarks @ matrix[:, :2].T + matrix[:, 2] - (size - 1) / 2) / (size / 2)
    return crop, points, face.angles, np.float64(-turn), face.expression, face.trust, face.known, np.float64(1)


def _empty_row(material: Material, size: int, rng: np.random.Generator) -> tuple[Any, ...]:
    """One crop that a tracker must refuse: background, or a face far off the middle or of a very wrong size."""
    patch = material.empty(rng) if rng.random() < 0.65 else None
    if patch is not None:
        crop = cv2.resize(patch, (size, size), interpolation=cv2.INTER_AREA)
    else:
        face = material.face(int(rng.integers(len(material))), rng)
        centre, side, _ = upright_frame(face.landmarks)
        if rng.random() < 0.5:
            direction = rng.uniform(0, 2 * np.pi)
            centre = centre + side * rng.uniform(0.75, 1.3) * np.array([np.cos(direction), np.sin(direction)])
            side *= rng.uniform(0.7, 1.4)
        else:
            side *= rng.uniform(2.8, 5.0) if rng.random() < 0.5 else rng.uniform(0.15, 0.35)
        crop = _warped(face, crop_matrix(centre, side, rng.normal(0, 0.5), size), size, None)
    zeros = np.zeros(len(ARKIT_NAMES))
    return crop, np.zeros((68, 2)), np.zeros(3), np.float64(0), zeros, np.zeros(3), zeros, np.float64(0)


def _warped(face: LabelledFace, matrix: np.ndarray, size: int, backdrop: np.ndarray | None) -> np.ndarray:
    """The crop; outside the picture its edge is continued, or a backdrop shows around the head."""
    border = cv2.BORDER_REPLICATE
    crop = cv2.warpAffine(
        np.ascontiguousarray(face.picture), matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border
    )
    if backdrop is None or face.matte is None:
        return crop
    alpha = cv2.warpAffine(np.ascontiguousarray(face.matte), matrix, (size, size), flags=cv2.INTER_LINEAR)
    alpha = cv2.GaussianBlur(alpha, (3, 3), 0)[..., None].astype(np.float32) / 255
    backdrop = cv2.resize(backdrop, (size, size), interpolation=cv2.INTER_AREA)
    return (crop * alpha + backdrop * (1 - alpha)).astype(np.uint8)
