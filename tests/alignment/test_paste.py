"""Pasting is the inverse of cropping, fades towards the edge, and leaves the rest of the picture alone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mien.alignment import Crop, Paster, ffhq_crop, paste, soft_mask
from mien.alignment.crop import square_crop


@pytest.fixture
def picture(rng) -> np.ndarray:
    """A smooth coloured picture, 160 × 200."""
    return cv2.resize(rng.integers(0, 256, (8, 10, 3), dtype=np.uint8), (200, 160), interpolation=cv2.INTER_CUBIC)


def _turned(size: int) -> Crop:
    points = np.zeros((68, 2))
    points[36:42], points[42:48], points[48], points[54] = (80, 70), (120, 82), (78, 108), (106, 118)
    return ffhq_crop(points, np.zeros(3), size)


@pytest.mark.parametrize("size", [24, 64, 300])
def test_what_was_cut_out_fits_back_in(picture, size):
    """A crop of the picture pasted back changes it by no more than resampling does, at any scale and turn."""
    for crop in (square_crop(np.array([90.0, 75.0]), 40, size), _turned(size)):
        back = paste(picture, crop.apply(picture), crop).astype(int)
        assert np.abs(back - picture).mean() < (2.5 if size == 24 else 0.7)


def test_the_middle_is_the_patch_and_the_outside_the_picture(picture):
    crop = square_crop(np.array([90.5, 75.5]), 40, 80)
    white = np.full((80, 80, 3), 255, np.uint8)
    full = paste(picture, white, crop)
    assert (full[75, 90] == 255).all()
    inside = np.zeros(picture.shape[:2], bool)
    inside[36:116, 51:131] = True
    np.testing.assert_array_equal(full[~inside], picture[~inside])
    corner = np.abs(full[36:40, 51:55].astype(int) - picture[36:40, 51:55])
    assert corner.max() == 0, "the outline is rounded: the corners stay"


def test_the_mask_is_smooth_symmetric_and_reaches_both_ends():
    mask = soft_mask(64)
    assert mask.max() == 1 and mask.min() == 0 and mask.dtype == np.float32
    np.testing.assert_allclose(mask, mask[::-1], atol=1e-6)
    np.testing.assert_allclose(mask, mask.T, atol=1e-6)
    assert np.abs(np.diff(mask, axis=0)).max() < 0.2
    assert soft_mask(64, 0.1).sum() > mask.sum() > soft_mask(64, 0.9).sum()


def test_fine_patterns_turn_grey_where_the_crop_shrinks(picture):
    crop = square_crop(np.array([90.0, 75.0]), 32, 300)
    board = np.indices((300, 300)).sum(0) % 2 * np.uint8(255)
    full = paste(picture, np.repeat(board[..., None], 3, 2), crop)
    assert np.abs(full[65:85, 80:100].astype(int) - 127).max() < 6


@pytest.mark.parametrize("centre", [(-10.0, 20.0), (195.0, 158.0), (-500.0, -500.0), (100.0, -39.0)])
def test_crops_may_leave_the_picture(picture, centre):
    crop = square_crop(np.array(centre), 40, 32)
    full = paste(picture, np.full((32, 32, 3), 255, np.uint8), crop)
    assert full.shape == picture.shape
    untouched = np.hypot(*(np.indices(picture.shape[:2])[::-1] - np.array(centre)[:, None, None])) > 60
    np.testing.assert_array_equal(full[untouched], picture[untouched])


def test_several_faces_in_one_go_in_any_order(picture):
    crops = [square_crop(np.array([70.0, 80.0]), 40, 32), square_crop(np.array([115.0, 80.0]), 40, 32)]
    images = [np.full((32, 32, 3), value, np.uint8) for value in (255, 0)]
    both = Paster(picture, crops)(images)
    np.testing.assert_array_equal(both, Paster(picture, crops[::-1])(images[::-1]))
    assert (both[80, 60] == 255).all() and (both[80, 125] == 0).all()
    assert 110 < both[80, 92].mean() < 145, "half way between both, half of each"
    only = Paster(picture, crops)([images[0], None])
    np.testing.assert_array_equal(only, paste(picture, images[0], crops[0]))
    np.testing.assert_array_equal(Paster(picture, crops)([None, None]), picture)


def test_the_picture_is_not_changed(picture):
    before = picture.copy()
    paste(picture, np.zeros((32, 32, 3), np.uint8), square_crop(np.array([90.0, 75.0]), 40, 32))
    np.testing.assert_array_equal(picture, before)
