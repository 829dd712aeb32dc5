"""How the pixels of a crop are made: one rule per crop kind, each told only where the crop lies.

`area` averages; `boxed` and `aligned` are the rules of the published VoxCeleb and FFHQ weights (METHODS section 5),
which matter because their encoders saw nothing else: what lies outside the picture is its reflection, blended into
a blur and the median colour.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from PIL import Image

from mien.geometry import apply_affine, invert_affine

NO_PADDING = np.float32(1e-10)
BOXED_BLUR_PX = 5.0
ALIGNED_BLUR = 0.01
"""Blur of the padding: pixels of the full picture for `boxed`, share of the square's side for `aligned`."""


def cut_area(image: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Bilinear where the picture is enlarged, means where it shrinks; edges are reflected.

    Args:
        image: uint8 (H, W, 3).
        matrix: (2, 3) map from pixels of the picture to pixels of the crop.
        size: side of the crop in pixels.

    Returns:
        uint8 (size, size, 3).
    """
    shrink = 1.0 / np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if shrink <= 1.0:
        return _warp(image, matrix, size)
    factor = int(np.ceil(shrink))
    lift = np.array([[factor, 0.0, (factor - 1) / 2], [0.0, factor, (factor - 1) / 2]])
    oversampled = lift[:, :2] @ matrix + np.hstack([np.zeros((2, 2)), lift[:, 2:]])
    large = _warp(image, oversampled, size * factor)
    return cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA)


def _warp(image: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def box_of(matrix: np.ndarray, size: int) -> tuple[int, int, int, int]:
    """Integer box x1, y1, x2, y2, end exclusive, of an axis-parallel crop."""
    corners = apply_affine(invert_affine(matrix), np.array([[-0.5, -0.5], [size - 0.5, size - 0.5]]))
    x1, y1, x2, y2 = np.rint(corners + 0.5).astype(int).ravel().tolist()
    return x1, y1, x2, y2


def cut_boxed(image: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """An integer box, padded where it leaves the picture, resized with an antialiased bicubic filter.

    As released, so that every pixel is the one the weights know: where one side is padded, the outermost line of the
    picture counts as padding on the other sides too. Arguments as `cut_area`.
    """
    height, width = image.shape[:2]
    x1, y1, x2, y2 = box_of(matrix, size)
    pad = max(-x1, 0), max(-y1, 0), max(x2 - width, 0), max(y2 - height, 0)
    if any(pad):
        extended = cv2.copyMakeBorder(image, pad[1], pad[3], pad[0], pad[2], cv2.BORDER_REFLECT)
        image = _faded(extended, pad, BOXED_BLUR_PX).astype(np.uint8)
    box = image[y1 + pad[1] : y2 + pad[1], x1 + pad[0] : x2 + pad[0]]
    return np.asarray(Image.fromarray(box).resize((size, size), Image.Resampling.BICUBIC))


def cut_aligned(image: np.ndarray, matrix: np.ndarray, size: int, *, as_released: bool = False) -> np.ndarray:
    """A turned square, padded where it leaves the picture, minified with a Lanczos filter.

    A square of four crop sides or more is cut out of a picture shrunk by a whole factor. Arguments as `cut_area`.

    Args:
        as_released: False samples as densely as the picture before it minifies. True samples once per pixel of the
            crop, as the released code does: it aliases, and is off by up to half a pixel where the picture is shrunk.
    """
    corners = np.array([[-0.5, -0.5], [-0.5, size - 0.5], [size - 0.5, size - 0.5], [size - 0.5, -0.5]])
    quad = apply_affine(invert_affine(matrix), corners)
    shrink = int(_side(quad) / size * 0.5)
    if shrink > 1:
        before = np.array(image.shape[1::-1])
        after = np.rint(before / shrink).astype(int)
        image = np.asarray(Image.fromarray(image).resize(tuple(after.tolist()), Image.Resampling.LANCZOS))
        quad = quad / shrink if as_released else (quad + 0.5) * (after / before) - 0.5
    image, quad = _surrounded(image, quad)
    factor = 1 if as_released else max(int(np.ceil(_side(quad) / size)), 1)
    data = tuple((quad + 0.5).ravel().tolist())
    picture = Image.fromarray(image).transform(
        (size * factor, size * factor), Image.Transform.QUAD, data, Image.Resampling.BILINEAR
    )
    return np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS) if factor > 1 else picture)


def _side(quad: np.ndarray) -> float:
    return float(np.linalg.norm(quad[1] - quad[0]))


def _surrounded(image: np.ndarray, quad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of the picture around a quadrilateral, padded if it must be, and the quadrilateral in it."""
    limit, side = np.array(image.shape[1::-1]), _side(quad)
    border = max(int(np.rint(side * 0.1)), 3)
    low, high = np.floor(quad.min(0)).astype(int), np.ceil(quad.max(0)).astype(int)
    first = np.clip(low - border, 0, limit - 2)
    last = np.maximum(np.minimum(high + border, limit), first + 2)
    image, quad = image[first[1] : last[1], first[0] : last[0]], quad - first
    before = np.maximum(border - (low - first), 0)
    after = np.maximum(high - first + border - (last - first), 0)
    if max(*before, *after) <= border - 4:
        return image, quad
    pad = [int(p) for p in np.maximum([*before, *after], int(np.rint(side * 0.3)))]
    extended = cv2.copyMakeBorder(image, pad[1], pad[3], pad[0], pad[2], cv2.BORDER_REFLECT_101)
    faded = _faded(extended, (pad[0], pad[1], pad[2], pad[3]), side * ALIGNED_BLUR)
    return np.clip(np.rint(faded), 0, 255).astype(np.uint8), quad + pad[:2]


def _faded(image: np.ndarray, pad: tuple[int, int, int, int], blur_px: float) -> np.ndarray:
    """A padded picture whose padding (left, top, right, bottom) turns into a blur and then the median colour."""
    height, width = image.shape[:2]
    across = _depth(width, pad[0], pad[2])[None, :, None]
    down = _depth(height, pad[1], pad[3])[:, None, None]
    depth = np.maximum(across, down)
    radius = int(4.0 * blur_px + 0.5)
    plain = image.astype(np.float32)
    kernel = (2 * radius + 1, 2 * radius + 1)
    blurred = cv2.GaussianBlur(plain, kernel, blur_px, borderType=cv2.BORDER_REFLECT) if radius else plain
    plain += (blurred - plain) * np.clip(depth * 3.0 + 1.0, 0.0, 1.0)
    return plain + (np.median(plain, axis=(0, 1)) - plain) * np.clip(depth, 0.0, 1.0)


def _depth(length: int, before: int, after: int) -> np.ndarray:
    """How deep each of `length` places lies in the padding: 1 at the outer edge, 0 at the picture's, then negative."""
    place = np.arange(length, dtype=np.float32)
    return 1.0 - np.minimum(place / (before or NO_PADDING), place[::-1] / (after or NO_PADDING))


RESAMPLING: Mapping[str, Callable[[np.ndarray, np.ndarray, int], np.ndarray]] = {
    "area": cut_area,
    "boxed": cut_boxed,
    "aligned": cut_aligned,
}
"""Pixel rules by the name a `Crop` carries."""
