"""Crops follow the face, carry their inverse, and the head crop does not pump."""

import math

import numpy as np
import pytest
import torch

from mien.alignment import head_crop, voxceleb_crop, weak_perspective
from mien.alignment.crop import RIGID_LANDMARKS, RIGID_POINTS_CM
from mien.geometry import angles_from_rotation, apply_affine, compose_affine, invert_affine, rotation_from_angles


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
    edges = voxceleb_crop(points, np.zeros(3), 256).points(np.array([centre - half, centre + half]))
    np.testing.assert_allclose(edges, [[-0.5, -0.5], [255.5, 255.5]], atol=0.51)


def test_rotation_of_degrees():
    assert math.degrees(float(angles_from_rotation(torch.eye(3))[0])) == 0
