"""Back into the picture: a crop's inverse transform and a mask that fades towards the crop's edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mien.alignment.crop import Crop
from mien.geometry import apply_affine, compose_affine

MASK_POWER = 2.6
"""Exponent of the mask's outline |x|^p + |y|^p = 1: between an ellipse (2) and a square (∞)."""
FEATHER = 0.3
"""Share of the way from the mask's outline to its middle over which it fades."""


def soft_mask(size: int, feather: float = FEATHER) -> np.ndarray:
    """A mask for a square crop: 1 in the middle, fading to 0 at a rounded outline that touches the crop's edges.

    Args:
        size: side in pixels.
        feather: width of the fading as a share of the half side, above 0 up to 1.

    Returns:
        float32 (size, size) in 0…1.
    """
    place = np.abs((np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1)
    radius = (place[None] ** MASK_POWER + place[:, None] ** MASK_POWER) ** (1 / MASK_POWER)
    inward = np.clip((1 - radius) / feather, 0, 1)
    return inward * inward * (3 - 2 * inward)


@dataclass(frozen=True)
class Place:
    """Where a crop lies in a full picture.

    Attributes:
        rows, columns: the part of the picture that it touches.
        matrix: (2, 3) map from pixels of the crop to pixels of that part.
        weight: float32 (h, w) mask there, 0…1.
    """

    rows: slice
    columns: slice
    matrix: np.ndarray
    weight: np.ndarray


class Paster:
    """Pastes generated crops back into the picture that they were cut from; the geometry is worked out once.

    Where the masks of several crops overlap, each counts by its mask, so that the order does not matter.

    Args:
        picture: uint8 (H, W, 3) the full picture; it is not changed.
        crops: where the pasted squares belong.
        feather: see `soft_mask`.
    """

    def __init__(self, picture: np.ndarray, crops: Sequence[Crop], feather: float = FEATHER) -> None:
        self.picture = picture
        self._places = [_place(crop, picture.shape[:2], feather) for crop in crops]

    def __call__(self, images: Sequence[np.ndarray | None]) -> np.ndarray:
        """The full picture, uint8 (H, W, 3), with one square per crop pasted in; None leaves that place as it is.

        Args:
            images: uint8 (S, S, 3) each, S the size of its crop.
        """
        full = self.picture.copy()
        present = [(place, image) for place, image in zip(self._places, images, strict=True) if image is not None]
        if not present:
            return full
        rows, columns = (_union([getattr(place, axis) for place, _ in present]) for axis in ("rows", "columns"))
        shape = rows.stop - rows.start, columns.stop - columns.start
        colour, total, rest = np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32), np.ones(shape, np.float32)
        for place, image in present:
            here = _shifted(place.rows, rows), _shifted(place.columns, columns)
            weight = place.weight
            colour[here] += weight[..., None] * _spread(image, place.matrix, weight.shape)
            total[here] += weight
            rest[here] *= 1 - weight
        part = full[rows, columns]
        mean = colour / np.maximum(total, 1e-6)[..., None]
        part[:] = np.rint(np.where(total[..., None] > 0, part + (1 - rest)[..., None] * (mean - part), part))
        return full


def paste(picture: np.ndarray, image: np.ndarray, crop: Crop, feather: float = FEATHER) -> np.ndarray:
    """One square uint8 (S, S, 3) pasted to where its crop lies in a picture uint8 (H, W, 3); see `Paster`."""
    return Paster(picture, [crop], feather)([image])


def _place(crop: Crop, size: tuple[int, int], feather: float) -> Place:
    edges = np.array([-0.5, crop.size - 0.5])
    corners = apply_affine(crop.inverse, np.stack(np.meshgrid(edges, edges), -1).reshape(4, 2))
    low = np.clip(np.floor(corners.min(0)).astype(int), 0, size[::-1])
    high = np.clip(np.ceil(corners.max(0)).astype(int) + 1, low, size[::-1])
    shift = np.array([[1.0, 0.0, -low[0]], [0.0, 1.0, -low[1]]])
    matrix = compose_affine(shift, crop.inverse)
    shape = int(high[1] - low[1]), int(high[0] - low[0])
    weight = _spread(soft_mask(crop.size, feather), matrix, shape, cv2.BORDER_CONSTANT)
    return Place(slice(low[1], high[1]), slice(low[0], high[0]), matrix, np.clip(weight, 0, 1))


def _spread(
    image: np.ndarray, matrix: np.ndarray, shape: tuple[int, int], border: int = cv2.BORDER_REPLICATE
) -> np.ndarray:
    """A crop seen through `matrix` as float32 of a shape: cubic where it grows, blurred first where it shrinks."""
    if 0 in shape:
        return np.zeros((*shape, *image.shape[2:]), np.float32)
    plain, scale = image.astype(np.float32), float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < 1:
        sigma = 0.5 * np.sqrt(1 / scale**2 - 1)
        plain = cv2.GaussianBlur(plain, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    mode = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
    warped = cv2.warpAffine(plain, matrix, shape[::-1], flags=mode, borderMode=border)
    return np.clip(warped, 0, 255)


def _union(spans: Sequence[slice]) -> slice:
    return slice(min(span.start for span in spans), max(span.stop for span in spans))


def _shifted(span: slice, within: slice) -> slice:
    return slice(span.start - within.start, span.stop - within.start)
