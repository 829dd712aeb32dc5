"""The motion space maps parameters to coordinates and back."""

import math
from dataclasses import replace

import pytest
import torch

from mien.face3d import ARKIT_COORDINATES, ARKIT_NAMES, FaceParams, arkit_motion_space
from mien.face3d.motion import GROUPS


def face(**values: float) -> FaceParams:
    """One face: yaw, pitch, roll in degrees, ARKit names as weights."""
    angles, expression = torch.zeros(1, 3), torch.zeros(1, len(ARKIT_NAMES))
    for name, value in values.items():
        if name in ("yaw", "pitch", "roll"):
            angles[0, ("yaw", "pitch", "roll").index(name)] = math.radians(value)
        else:
            expression[0, ARKIT_NAMES.index(name)] = value
    return replace(FaceParams.invalid(1), angles=angles, expression=expression)


def value(params: FaceParams, name: str) -> float:
    space = arkit_motion_space()
    return float(space.read(params)[0, space.index(name)])


def test_names_are_the_51_of_arkit():
    assert len(ARKIT_NAMES) == len(set(ARKIT_NAMES)) == 51
    assert ARKIT_NAMES[0] == "browDownLeft" and ARKIT_NAMES[24] == "jawOpen" and ARKIT_NAMES[-1] == "noseSneerRight"


def test_ends_of_the_range_are_minus_six_and_six():
    space = arkit_motion_space()
    q = space.encode(face(yaw=45, jawOpen=1, eyeBlinkLeft=0))
    assert q[0, space.index("yaw")] == pytest.approx(6)
    assert q[0, space.index("jaw_open")] == pytest.approx(6)
    assert q[0, space.index("blink_left")] == pytest.approx(-6)


def test_decode_inverts_encode():
    space = arkit_motion_space()
    q = torch.rand(50, len(space), generator=torch.Generator().manual_seed(0)) * 12 - 6
    angles, expression = space.decode(q)
    again = space.encode(replace(FaceParams.invalid(50), angles=angles, expression=expression))
    torch.testing.assert_close(again, q, atol=1e-4, rtol=0)
    assert float(expression.min()) >= 0 and float(expression.max()) <= 1


def test_signs_point_to_the_right_of_the_picture():
    assert value(face(eyeLookOutLeft=1, eyeLookInRight=1), "gaze_x") == 1
    assert value(face(eyeLookDownLeft=1, eyeLookDownRight=1), "gaze_y") == -1
    assert value(face(mouthLeft=1), "mouth_side") == 1
    assert value(face(mouthSmileLeft=1), "mouth_smile") == 0.5


def test_measured_ranges_replace_the_default():
    space = arkit_motion_space()
    narrow = space.ranges.clone()
    narrow[0] = torch.tensor([-10.0, 30.0])
    q = space.with_ranges(narrow).encode(face(yaw=10))
    assert q[0, 0] == pytest.approx(0, abs=1e-5)


def test_groups_cover_every_coordinate_once():
    members = [name for group in GROUPS.values() for name in group]
    assert sorted(members) == sorted(ARKIT_COORDINATES)
    with pytest.raises(ValueError, match="unknown coordinate"):
        arkit_motion_space().index("nose_length")


def test_params_check_shapes_and_select():
    params = FaceParams.cat([face(yaw=1), face(yaw=2)])
    assert len(params) == 2 and len(params[1]) == 1
    assert float(params[1].angles[0, 0]) == pytest.approx(math.radians(2))
    with pytest.raises(ValueError, match="landmarks"):
        params.moved(torch.zeros(2, 67, 2))
