"""What cameras and codecs do to pictures, at random: the changes a tracker has to ignore."""

from __future__ import annotations

import cv2
import numpy as np


def degrade(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy with random colour, contrast, blur, resolution, noise and compression.

    Args:
        picture: uint8 (H, W, 3).
        rng: source of all choices.
    """
    picture = shift_colours(picture, rng)
    if rng.random() < 0.25:
        picture = _lower_resolution(picture, rng)
    if rng.random() < 0.2:
        picture = _blur(picture, rng)
    if rng.random() < 0.35:
        picture = _add_noise(picture, rng)
    if rng.random() < 0.3:
        coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 80))])[1]
        picture = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))
    return picture


def enlarge(picture: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    """A copy that looks enlarged from a picture of `factor` times the side, which camera and codec may have disturbed.

    Args:
        picture: uint8 (H, W, 3).
        factor: above 0, at most 1.
        rng: source of all other choices.
    """
    height, width = picture.shape[:2]
    size = max(round(width * factor), 8), max(round(height * factor), 8)
    disturb = degrade if rng.random() < 0.5 else shift_colours
    small = disturb(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), rng)
    way = cv2.INTER_LINEAR if rng.random() < 0.7 else cv2.INTER_CUBIC
    return cv2.resize(small, (width, height), interpolation=way)


def shift_colours(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random gamma, contrast, brightness and white balance by one table; sometimes less colour or none."""
    ramp = np.linspace(0, 1, 256)[:, None]
    gamma = np.exp(rng.normal(0, 0.25))
    gain = np.exp(rng.normal(0, 0.18) + rng.normal(0, 0.08, 3))
    table = (ramp**gamma * gain - 0.5) * rng.uniform(0.75, 1.2) + 0.5 + rng.normal(0, 0.05)
    picture = cv2.LUT(np.ascontiguousarray(picture), (table.clip(0, 1) * 255).astype(np.uint8)[None])
    if rng.random() < 0.25:
        grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        amount = 1.0 if rng.random() < 0.5 else rng.uniform(0.3, 0.9)
        picture = cv2.addWeighted(picture, 1 - amount, grey, amount, 0)
    return picture


def occlude(picture: np.ndarray, rng: np.random.Generator, texture: np.ndarray | None = None) -> np.ndarray:
    """A copy with one rectangle or ellipse covered: by one colour, by noise, or by part of another picture."""
    picture = picture.copy()
    side = picture.shape[0]
    height, width = (rng.uniform(0.08, 0.4, 2) * side).astype(int) + 1
    top, left = int(rng.integers(0, side - height + 1)), int(rng.integers(0, side - width + 1))
    region = picture[top : top + height, left : left + width]
    if texture is not None and rng.random() < 0.5:
        cover = cv2.resize(texture, (int(width), int(height)), interpolation=cv2.INTER_AREA)
    elif rng.random() < 0.5:
        cover = rng.integers(0, 256, region.shape, dtype=np.uint8)
    else:
        cover = np.broadcast_to(rng.integers(0, 256, 3, dtype=np.uint8), region.shape)
    if rng.random() < 0.5:
        region[:] = cover
    else:
        shape = np.zeros(region.shape[:2], np.uint8)
        cv2.ellipse(shape, (int(width) // 2, int(height) // 2), (int(width) // 2, int(height) // 2), 0, 0, 360, 1, -1)
        region[shape > 0] = cover[shape > 0]
    return picture


def _lower_resolution(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = picture.shape[:2]
    factor = rng.uniform(0.4, 0.85)
    small = cv2.resize(
        picture, (max(int(width * factor), 8), max(int(height * factor), 8)), interpolation=cv2.INTER_AREA
    )
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR if rng.random() < 0.7 else cv2.INTER_CUBIC)


def _blur(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.6:
        return cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.4))
    length = int(rng.integers(3, 8))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    middle, reach = (length - 1) / 2, length / 2
    ends = [(int(round(middle + s * reach * f(angle))) for f in (np.cos, np.sin)) for s in (-1, 1)]
    cv2.line(kernel, tuple(ends[0]), tuple(ends[1]), 1.0)
    return cv2.filter2D(picture, -1, kernel / max(kernel.sum(), 1e-6))


def _add_noise(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    grain = rng.standard_normal(picture.shape, dtype=np.float32) * rng.uniform(2, 11)
    return (picture + grain).clip(0, 255).astype(np.uint8)
