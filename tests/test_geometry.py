import math

import numpy as np
import pytest
import torch

from mien.geometry import (
    angles_from_rotation,
    apply_affine,
    axis_angle_from_rotation,
    compose_affine,
    invert_affine,
    lean_of,
    quaternion_from_rotation,
    rotation_from_angles,
    rotation_from_axis_angle,
    turned_angles,
)

NOSE, CROWN = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([0.0, 1.0, 0.0])


def _turn(yaw=0.0, pitch=0.0, roll=0.0):
    return rotation_from_angles(torch.deg2rad(torch.tensor([yaw, pitch, roll])))


def test_positive_yaw_turns_the_nose_to_the_image_right():
    assert torch.allclose(_turn(yaw=30) @ NOSE, torch.tensor([0.5, 0.0, math.sqrt(0.75)]), atol=1e-6)


def test_positive_pitch_looks_up():
    assert torch.allclose(_turn(pitch=30) @ NOSE, torch.tensor([0.0, 0.5, math.sqrt(0.75)]), atol=1e-6)


def test_positive_roll_tilts_the_crown_clockwise_for_the_viewer():
    assert torch.allclose(_turn(roll=30) @ CROWN, torch.tensor([0.5, math.sqrt(0.75), 0.0]), atol=1e-6)


def test_yaw_is_applied_last():
    both = _turn(yaw=90, pitch=30) @ NOSE
    assert torch.allclose(both, torch.tensor([math.sqrt(0.75), 0.5, 0.0]), atol=1e-6)


def test_angles_and_rotation_are_exact_inverses(rng):
    angles = torch.from_numpy(rng.uniform(-1, 1, (50, 3)) * (3.1, 1.5, 3.1))
    rotation = rotation_from_angles(angles)
    assert torch.allclose(rotation @ rotation.mT, torch.eye(3, dtype=torch.float64).expand(50, 3, 3), atol=1e-12)
    assert torch.allclose(torch.linalg.det(rotation), torch.ones(50, dtype=torch.float64))
    assert torch.allclose(angles_from_rotation(rotation), angles, atol=1e-7)


def test_rotation_can_be_differentiated_at_rest():
    angles = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(rotation_from_angles, angles)


def test_affine_maps_compose_and_invert(rng):
    points = rng.normal(size=(7, 2))
    quarter, shift = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]), np.array([[1.0, 0.0, 5.0], [0.0, 1.0, 0.0]])
    np.testing.assert_allclose(apply_affine(compose_affine(shift, quarter), np.array([[1.0, 0.0]])), [[5.0, 1.0]])
    matrix = rng.normal(size=(2, 3))
    np.testing.assert_allclose(apply_affine(invert_affine(matrix), apply_affine(matrix, points)), points, atol=1e-9)


def test_axis_angle_and_rotation_are_exact_inverses_at_every_angle(rng):
    axis = torch.from_numpy(rng.normal(size=(200, 3)))
    angle = torch.cat([torch.linspace(0, math.pi - 1e-4, 180), torch.logspace(-9, -1, 20)]).double()
    vector = axis / axis.norm(dim=1, keepdim=True) * angle[:, None]
    rotation = rotation_from_axis_angle(vector)
    assert torch.allclose(rotation @ rotation.mT, torch.eye(3, dtype=torch.float64).expand_as(rotation), atol=1e-12)
    assert torch.allclose(axis_angle_from_rotation(rotation), vector, atol=1e-8)
    assert float(quaternion_from_rotation(rotation)[:, 0].min()) >= 0


def test_axis_angle_turns_by_the_right_hand():
    quarter = rotation_from_axis_angle(torch.tensor([0.0, math.pi / 2, 0.0]))
    assert torch.allclose(quarter @ NOSE, torch.tensor([1.0, 0.0, 0.0]), atol=1e-6), "y axis: nose to the image's right"
    assert torch.equal(rotation_from_axis_angle(torch.zeros(3)), torch.eye(3))


def test_axis_angle_can_be_differentiated_at_rest():
    for vector in (torch.zeros(1, 3), torch.tensor([[0.3, -1.1, 0.2]])):
        vector = vector.double().requires_grad_(True)
        assert torch.autograd.gradcheck(rotation_from_axis_angle, vector, atol=1e-4)
    vector = torch.tensor([[0.3, -1.1, 0.2]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: axis_angle_from_rotation(rotation_from_axis_angle(v)), vector)


def test_turning_a_picture_clockwise_adds_roll():
    angles = torch.tensor([[0.0, 0.0, 0.1], [0.5, 0.2, 0.0]], dtype=torch.float64)
    turned = turned_angles(angles, torch.tensor([0.3, 0.3], dtype=torch.float64))
    assert turned[0].tolist() == pytest.approx([0, 0, 0.4])
    back = turned_angles(turned, torch.tensor([-0.3, -0.3], dtype=torch.float64))
    assert torch.allclose(back, angles)


def test_the_lean_is_what_turning_the_picture_adds(rng):
    """A head that only leans leans by its roll; turning a picture adds to the lean of any head."""
    assert float(lean_of(torch.tensor([0.0, 0.0, -0.4]))) == pytest.approx(-0.4)
    angles = torch.from_numpy(rng.uniform(-0.8, 0.8, (50, 3)))
    for turn in (-0.5, 0.3):
        leaning = turned_angles(angles, torch.full((50,), turn, dtype=torch.float64))
        torch.testing.assert_close(lean_of(leaning), lean_of(angles) + turn)
