"""Pictures side by side, for comparison."""

from __future__ import annotations

import cv2
import numpy as np


def fit_height(image: np.ndarray, height: int, width: int | None = None) -> np.ndarray:
    """Resize uint8 (H, W, 3) to a height, keeping its shape; with `width`, fit it inside and fill up with black.

    Args:
        height: rows of the result in pixels.
        width: columns of the result; None lets the picture's own aspect decide.
    """
    scale = height / image.shape[0]
    if width is not None:
        scale = min(scale, width / image.shape[1])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    if width is None:
        size = size[0], height
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = cv2.resize(image, size, interpolation=mode) if size != image.shape[1::-1] else image
    if width is None or resized.shape[:2] == (height, width):
        return resized
    panel = np.zeros((height, width, 3), np.uint8)
    top, left = (height - resized.shape[0]) // 2, (width - resized.shape[1]) // 2
    panel[top : top + resized.shape[0], left : left + resized.shape[1]] = resized
    return panel


def side_by_side(source: np.ndarray, driver: np.ndarray, result: np.ndarray, driver_width: int) -> np.ndarray:
    """source | driver | result at the height of the result; `driver_width` keeps all frames of a video equally wide."""
    height = result.shape[0]
    return np.concatenate([fit_height(source, height), fit_height(driver, height, driver_width), result], 1)
