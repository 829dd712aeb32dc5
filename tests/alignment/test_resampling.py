"""The pixels of the published crops."""

import zlib

import golden_rule
import numpy as np
import pytest

from mien.alignment import CROPS, ffhq_crop, voxceleb_crop
from mien.alignment.resampling import box_of, cut_aligned

NO_ANGLES = np.zeros(3)


@pytest.fixture(scope="module")
def numbers(golden):
    with golden("crops") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def picture(numbers) -> np.ndarray:
    height, width = (int(n) for n in numbers["in_image_hw"])
    image = golden_rule.picture_bytes(int(numbers["in_image_index"]), height, width, int(numbers["seed"]))
    assert zlib.crc32(image.tobytes()) == int(numbers["in_image_crc32"])
    return image


def off_by(cut: np.ndarray, expected: np.ndarray) -> np.ndarray:
    return np.abs(cut.astype(int) - expected.astype(int))


@pytest.mark.parity
def test_boxed_crops(numbers, picture):
    for landmarks, box, expected in zip(
        numbers["in_landmarks"], numbers["out_box_x1y1x2y2"], numbers["out_crop_boxed"], strict=True
    ):
        crop = voxceleb_crop(landmarks, NO_ANGLES, len(expected))
        assert box_of(crop.matrix, crop.size) == tuple(box.tolist())
        error = off_by(crop.apply(picture), expected)
        assert error.max() <= 1 and (error > 0).mean() <= 0.005


@pytest.mark.parity
def test_aligned_crops(numbers, picture):
    for landmarks, expected in zip(numbers["in_landmarks"], numbers["out_crop_aligned"], strict=True):
        crop = ffhq_crop(landmarks, NO_ANGLES, len(expected))
        error = off_by(cut_aligned(picture, crop.matrix, crop.size, as_released=True), expected)
        assert error.max() <= 1 and (error > 0).mean() <= 0.005


@pytest.mark.parity
def test_mended_aligned_crops_differ_only_where_the_picture_is_minified(numbers, picture):
    """Sampling as densely as the picture changes a smooth picture little, and nothing where it is enlarged."""
    for landmarks, expected in zip(numbers["in_landmarks"], numbers["out_crop_aligned"], strict=True):
        crop = ffhq_crop(landmarks, NO_ANGLES, len(expected))
        error = off_by(crop.apply(picture), expected)
        if np.linalg.det(crop.matrix[:, :2]) >= 1:
            assert error.max() <= 1 and (error > 0).mean() <= 0.005
        assert error.mean() < 1


def test_aligned_minification_does_not_alias():
    board = np.repeat((np.indices((600, 600)).sum(0) % 2 * 255)[..., None], 3, 2).astype(np.uint8)
    matrix = np.array([[0.3, 0.0, -58.0], [0.0, 0.3, -58.0]])
    proper, released = (cut_aligned(board, matrix, 64, as_released=flag).astype(float) for flag in (False, True))
    assert proper.std() < 5 < 40 < released.std()


@pytest.mark.parametrize("kind", CROPS)
def test_faces_at_and_beyond_the_edge_give_whole_pictures(kind, rng):
    image = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    kept = image.copy()
    for centre in ((40, 30), (79, 0), (-30, 20), (200, -100)):
        for spread in (0.0, 1.0, 25.0):
            cut = CROPS[kind](rng.normal(centre, spread, (68, 2)), NO_ANGLES, 32).apply(image)
            assert cut.shape == (32, 32, 3) and cut.dtype == np.uint8
    assert np.array_equal(image, kept)


def test_the_size_of_a_boxed_crop_does_not_move_its_box():
    points = np.random.default_rng(0).uniform((30, 40), (90, 120), (68, 2))
    boxes = {box_of(voxceleb_crop(points, NO_ANGLES, size).matrix, size) for size in (64, 128, 256, 1024)}
    assert len(boxes) == 1
