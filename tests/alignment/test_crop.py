"""Crops follow the face, carry their inverse, and the head crop does not pump."""

import math

import cv2
import numpy as np
import pytest
import torch

from mien.alignment import CROPS, deca_crop, ffhq_crop, head_crop, voxceleb_crop, weak_perspective
from mien.alignment.crop import RIGID_LANDMARKS, RIGID_POINTS_CM, square_crop
from mien.geometry import angles_from_rotation, apply_affine, compose_affine, invert_affine, rotation_from_angles
from mien.images import to_tensor, to_uint8, turn


def landmarks_of(angles: np.ndarray, scale: float, shift: np.ndarray) -> np.ndarray:
    """68 points whose rigid ones are the mean head seen in weak perspective; the others are noise around them."""
    rotation = rotation_from_angles(torch.tensor(angles, dtype=torch.float64)).numpy()
    points = np.random.default_rng(0).normal(0, 40, (68, 2)) + shift
    points[list(RIGID_LANDMARKS)] = (RIGID_POINTS_CM @ rotation.T)[:, :2] * (scale, -scale) + shift
    return points


def test_rotations_invert_and_have_house_signs():
    angles = (torch.rand(100, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 0.5) * 2.4
    torch.testing.assert_close(angles_from_rotation(rotation_from_angles(angles)), angles)
    nose = torch.tensor([0.0, 0.0, 1.0])
    assert (rotation_from_angles(torch.tensor([0.3, 0.0, 0.0])) @ nose)[0] > 0, "yaw > 0: nose to the image's right"
    assert (rotation_from_angles(torch.tensor([0.0, 0.3, 0.0])) @ nose)[1] > 0, "pitch > 0: nose up"
    top = rotation_from_angles(torch.tensor([0.0, 0.0, 0.3])) @ torch.tensor([0.0, 1.0, 0.0])
    assert top[0] > 0, "roll > 0: the crown moves to the image's right, clockwise"


@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), (0.6, -0.3, 0.2), (-0.5, 0.3, -0.3)])
def test_weak_perspective_recovers_scale_and_place(angles):
    scale, place = weak_perspective(landmarks_of(np.array(angles), 7.5, np.array([300.0, 200.0])), np.array(angles))
    assert scale == pytest.approx(7.5)
    np.testing.assert_allclose(place, [300, 200], atol=1e-9)


def test_head_crop_ignores_the_mouth_and_chin():
    angles = np.array([0.2, 0.1, 0.0])
    closed = landmarks_of(angles, 6.0, np.array([200.0, 200.0]))
    opened = closed.copy()
    opened[[8, 57, 66]] += (0, 40)
    np.testing.assert_array_equal(head_crop(closed, angles, 128).matrix, head_crop(opened, angles, 128).matrix)


def test_crop_and_inverse():
    crop = head_crop(landmarks_of(np.zeros(3), 6.0, np.array([210.0, 190.0])), np.zeros(3), 128)
    points = np.random.default_rng(0).uniform(0, 400, (20, 2))
    np.testing.assert_allclose(apply_affine(crop.inverse, crop.points(points)), points, atol=1e-9)
    np.testing.assert_allclose(compose_affine(crop.matrix, invert_affine(crop.matrix)), np.eye(2, 3), atol=1e-12)


def test_minification_averages_instead_of_aliasing():
    """A fine checkerboard shrunk eight times is grey, not a moiré of black and white."""
    board = np.indices((800, 800)).sum(0) % 2 * 255
    image = np.repeat(board[..., None], 3, 2).astype(np.uint8)
    crop = head_crop(landmarks_of(np.zeros(3), 27.0, np.array([400.0, 400.0])), np.zeros(3), 96)
    cut = crop.apply(image)[8:-8, 8:-8].astype(float)
    assert abs(cut.mean() - 127.5) < 4 and cut.std() < 12


def test_a_shifted_dot_lands_where_points_says():
    image = np.zeros((400, 400, 3), np.uint8)
    image[148:153, 208:213] = 255
    crop = head_crop(landmarks_of(np.zeros(3), 5.0, np.array([200.0, 180.0])), np.zeros(3), 256)
    found = np.argwhere(crop.apply(image)[..., 0] > 128).mean(0)[::-1]
    np.testing.assert_allclose(found, crop.points(np.array([210.0, 150.0])), atol=0.6)


def test_voxceleb_crop_box():
    points = np.random.default_rng(1).uniform((100, 120), (180, 220), (68, 2))
    low, high = points.min(0), points.max(0)
    half = int(max(high - low))
    centre = np.rint((low + high) / 2) - (0, half // 6)
    first_and_last = np.array([centre - half - 0.5, centre + half - 0.5])
    edges = voxceleb_crop(points, np.zeros(3), 256).points(first_and_last)
    np.testing.assert_allclose(edges, [[-0.5, -0.5], [255.5, 255.5]], atol=1e-9)


def test_ffhq_crop_turns_the_eyes_level():
    points = np.zeros((68, 2))
    points[36:42], points[42:48], points[48], points[54] = (100, 100), (140, 130), (74, 143), (106, 167)
    crop = ffhq_crop(points, np.zeros(3), 256)
    left, right, mouth = crop.points(np.array([[100, 100], [140, 130], [90, 155]]))
    assert left[1] == pytest.approx(right[1]) and left[0] < right[0]
    assert (left[0] + right[0]) / 2 == pytest.approx(127.5) and mouth[0] == pytest.approx(127.5)
    assert right[0] - left[0] == pytest.approx(256 * 50 / (2 * max(2 * 50, 1.8 * 50))), (
        "half the side is twice the eyes"
    )
    assert (left[1] + 0.1 * (mouth[1] - left[1])) == pytest.approx(127.5)


def test_deca_crop_spans_the_square_with_pixel_centres():
    points = np.random.default_rng(1).uniform((100, 120), (180, 220), (68, 2))
    low, high = points.min(0), points.max(0)
    half = int(1.25 * 1.1 * (high - low).mean()) / 2
    edges = deca_crop(points).points(np.array([(low + high) / 2 - half, (low + high) / 2 + half]))
    np.testing.assert_allclose(edges, [[0, 0], [223, 223]], atol=1e-9)


@pytest.mark.parametrize("kind", [*CROPS, "deca"])
def test_every_kind_is_a_similarity_that_comes_back(kind):
    points = landmarks_of(np.array([0.2, 0.1, 0.3]), 6.0, np.array([210.0, 190.0]))
    crop = deca_crop(points) if kind == "deca" else CROPS[kind](points, np.array([0.2, 0.1, 0.3]), 128)
    linear = crop.matrix[:, :2]
    np.testing.assert_allclose(linear @ linear.T, np.eye(2) * np.linalg.det(linear), atol=1e-12)
    np.testing.assert_allclose(apply_affine(crop.inverse, crop.points(points)), points, atol=1e-9)


@pytest.mark.parametrize("kind", [*CROPS, "deca"])
@pytest.mark.parametrize("spread", [12.0, 45.0, 150.0])
def test_pixels_land_where_points_says(kind, spread):
    """A blurred dot, cut by every kind at several scales: enlarged, minified, shrunk first."""
    height, width = 900, 1100
    centre, cm = np.array([540.0, 430.0]), spread / 8
    points = np.random.default_rng(0).uniform(-7, 7, (68, 2)) * cm + centre
    points[list(RIGID_LANDMARKS)] = RIGID_POINTS_CM[:, :2] * (cm, -cm) + centre
    points[[37, 38, 40, 41]], points[[43, 44, 46, 47]] = points[[36, 39]].mean(0), points[[42, 45]].mean(0)
    points[[48, 54]] = centre + np.array([[-2.5, 4.5], [2.5, 4.5]]) * cm
    dot = centre + (0.3, -0.2) * np.array(spread)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    glow = 255 * np.exp(-((x - dot[0]) ** 2 + (y - dot[1]) ** 2) / (0.5 * spread) ** 2)
    crop = deca_crop(points) if kind == "deca" else CROPS[kind](points, np.zeros(3), 96)
    cut = crop.apply(np.repeat(np.rint(glow).astype(np.uint8)[..., None], 3, 2))[..., 0].astype(float)
    cut[cut < 25] = 0
    rows, columns = np.indices(cut.shape)
    found = np.array([(columns * cut).sum(), (rows * cut).sum()]) / cut.sum()
    np.testing.assert_allclose(found, crop.points(dot), atol=0.08)


def test_rotation_of_degrees():
    assert math.degrees(float(angles_from_rotation(torch.eye(3))[0])) == 0


def test_a_turned_crop_is_the_turned_picture_of_the_crop(rng):
    """Cutting turned and turning what was cut agree in the middle; points follow."""
    image = cv2.GaussianBlur(rng.integers(0, 256, (300, 300, 3), dtype=np.uint8), (0, 0), 6)
    crop = square_crop(np.array([150.0, 140.0]), 60.0, 96)
    assert crop.turned(0.0) is crop, "not even rounding"
    cut = crop.turned(0.4).apply(image).astype(float)
    turned = to_uint8(turn(to_tensor(crop.apply(image)), torch.tensor([0.4])))[0]
    assert np.abs(cut - turned)[24:72, 24:72].max() <= 4
    np.testing.assert_allclose(crop.turned(0.4).points(np.array([150.0, 140.0])), [47.5, 47.5])
    right = crop.turned(np.pi / 2).points(np.array([150.0, 110.0]))
    assert right[0] > 60 and right[1] == pytest.approx(47.5), "what was above the centre is to its right"
