"""DECA's angles: exact conversions, and the released code's inverse, which is none."""

import golden_rule
import numpy as np
import pytest
import torch

from mien.face3d.euler import (
    deca_from_house,
    deca_from_rotation,
    head_pose_as_released,
    house_from_deca,
    quaternion_from_xyz,
    rotation_from_deca,
)
from mien.geometry import (
    angles_from_rotation,
    axis_angle_from_quaternion,
    axis_angle_from_rotation,
    quaternion_from_rotation,
    rotation_from_axis_angle,
)


@pytest.fixture(scope="module")
def numbers(golden):
    return golden("rotations")


@pytest.fixture
def angles(rng) -> torch.Tensor:
    """DECA or house angles over ±60/40/40 degrees, single precision."""
    return torch.deg2rad(torch.from_numpy(rng.uniform(-1, 1, (500, 3)) * (60, 40, 40))).float()


def test_conversions_are_exact_inverses(angles):
    assert float((deca_from_rotation(rotation_from_deca(angles)) - angles).abs().max()) < 1e-5
    assert float((deca_from_house(house_from_deca(angles)) - angles).abs().max()) < 1e-5
    assert float((house_from_deca(deca_from_house(angles)) - angles).abs().max()) < 1e-5
    pose = axis_angle_from_rotation(rotation_from_deca(angles))
    assert float((deca_from_rotation(rotation_from_axis_angle(pose)) - angles).abs().max()) < 1e-5


def test_both_readings_mean_the_same_rotation(angles):
    rotation = rotation_from_deca(angles)
    torch.testing.assert_close(angles_from_rotation(rotation), house_from_deca(angles))


@pytest.mark.parametrize("axis", range(3))
def test_single_deca_angles_are_the_negated_house_angles(axis):
    angles = torch.zeros(1, 3)
    angles[0, axis] = 0.4
    torch.testing.assert_close(house_from_deca(angles), -angles, atol=1e-6, rtol=0)


@pytest.mark.parity
def test_axis_angle_to_yaw_pitch_roll(numbers):
    rotation = rotation_from_axis_angle(torch.from_numpy(numbers["in_axis_angle"]))
    assert golden_rule.relative_error(rotation, numbers["out_matrix"]) < 1e-5
    degrees = torch.rad2deg(deca_from_rotation(rotation))
    assert golden_rule.relative_error(degrees, numbers["out_yaw_pitch_roll_deg"]) < 1e-5


@pytest.mark.parity
def test_released_conversions(numbers):
    euler = torch.deg2rad(torch.from_numpy(numbers["in_euler_deg"]))
    quaternion = quaternion_from_xyz(euler)
    assert golden_rule.relative_error(quaternion, numbers["out_quaternion_wxyz"]) < 1e-5
    raw = axis_angle_from_quaternion(quaternion)
    assert golden_rule.relative_error(raw, numbers["out_axis_angle_raw"]) < 1e-5
    torch.testing.assert_close(quaternion_from_rotation(rotation_from_axis_angle(raw)), quaternion)
    assert golden_rule.relative_error(head_pose_as_released(euler), numbers["out_axis_angle_head"]) < 1e-5


@pytest.mark.parity
def test_ours_reads_back_what_it_was_given_where_the_released_inverse_does_not(numbers):
    degrees = numbers["in_euler_deg"]
    euler = torch.deg2rad(torch.from_numpy(degrees))
    theirs = torch.rad2deg(deca_from_rotation(rotation_from_axis_angle(head_pose_as_released(euler))))
    assert golden_rule.relative_error(theirs, numbers["out_head_yaw_pitch_roll_deg"]) < 1e-5
    pose = axis_angle_from_rotation(rotation_from_deca(euler))
    ours = torch.rad2deg(deca_from_rotation(rotation_from_axis_angle(pose)))
    assert float((ours - torch.from_numpy(degrees)).abs().max()) < 1e-3
    assert (np.abs(theirs.numpy() - degrees).mean(0) > (1.0, 2.0, 0.5)).all(), "degrees"
