"""The One-Euro filter against its formula, and what it does to faces and crops."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from mien.alignment import Crop, ffhq_crop
from mien.alignment.crop import square_crop
from mien.errors import InputError
from mien.face3d.params import FaceParams
from mien.tracking import CropSmoother, FaceSmoother, OneEuro, Smoothing


def _alpha(cutoff: float, elapsed: float) -> float:
    return 1 / (1 + 1 / (2 * math.pi * cutoff * elapsed))


def _face(yaw_deg: float, jaw: float = 0.0, valid: bool = True) -> FaceParams:
    face = FaceParams.invalid(1)
    face.angles[0, 0], face.expression[0, 24], face.valid[0] = math.radians(yaw_deg), jaw, valid
    return face


def test_two_steps_worked_out_by_hand():
    one_euro = OneEuro(1.0, 0.5)
    assert one_euro(torch.tensor([1.0, 5.0]), 0)[0] == 1
    slope = _alpha(1.0, 0.1) * (3 - 1) / 0.1
    expected = 1 + _alpha(1.0 + 0.5 * slope, 0.1) * (3 - 1)
    first = one_euro(torch.tensor([3.0, 5.0]), Fraction(1, 10))
    assert first.tolist() == pytest.approx([expected, 5], rel=1e-6)
    slope = slope + _alpha(1.0, 0.4) * ((3 - expected) / 0.4 - slope)
    expected = expected + _alpha(1.0 + 0.5 * slope, 0.4) * (3 - expected)
    assert one_euro(torch.tensor([3.0, 5.0]), 0.5).tolist() == pytest.approx([expected, 5], rel=1e-6)


def test_noise_at_rest_is_calmed_and_a_turn_is_followed():
    draws = torch.Generator().manual_seed(0)
    noise = 0.3 * torch.randn(200, generator=draws)
    smoother = FaceSmoother(Smoothing())
    rest = torch.cat([smoother(_face(float(x)), i / 25).angles[:, 0] for i, x in enumerate(noise)]).rad2deg()
    assert rest[20:].std() < 0.7 * noise[20:].std()
    turned = [float(smoother(_face(40.0), 8 + i / 25).angles[0, 0].rad2deg()) for i in range(4)]
    assert turned[0] > 30 and turned[3] > 38


def test_a_blink_keeps_its_depth():
    smoother = FaceSmoother(Smoothing())
    jaw = [0.0] * 10 + [0.5, 1.0, 0.5] + [0.0] * 5
    seen = [float(smoother(_face(0, x), i / 25).expression[0, 24]) for i, x in enumerate(jaw)]
    assert max(seen) > 0.9 and seen[-1] < 0.02


def test_time_stamps_count():
    """The same samples further apart are smoothed less; time that stands still is an error."""
    far, near = OneEuro(1.0, 0.0), OneEuro(1.0, 0.0)
    far(torch.zeros(1), 0), near(torch.zeros(1), 0)
    assert far(torch.ones(1), 1.0) > near(torch.ones(1), 0.04) + 0.5
    with pytest.raises(InputError, match="times that increase"):
        far(torch.ones(1), 1.0)


def test_lost_faces_leave_no_trace():
    smoother, other = FaceSmoother(Smoothing()), FaceSmoother(Smoothing())
    for one in (smoother, other):
        one(_face(0), 0)
    assert not bool(smoother(_face(90, valid=False), 0.04).valid[0])
    assert torch.equal(smoother(_face(3), 0.08).angles, other(_face(3), 0.08).angles)


def test_inputs_are_left_alone():
    smoother, faces = FaceSmoother(Smoothing()), [_face(0), _face(10)]
    for i, face in enumerate(faces):
        smoother(face, i)
    assert float(faces[1].angles[0, 0].rad2deg()) == pytest.approx(10)


def test_a_still_crop_stays_and_a_jump_is_softened(rng):
    points = rng.normal(size=(68, 2)) * 30 + 200
    crop = ffhq_crop(points, np.zeros(3), 64)
    smoother = CropSmoother(Smoothing())
    for time in (0, 0.04):
        still = smoother(crop, time)
        np.testing.assert_allclose(still.matrix, crop.matrix, atol=1e-6)
        assert still.size == 64 and still.resampling == "aligned"
    smoother = CropSmoother(Smoothing())
    smoother(square_crop(np.array([100.0, 80.0]), 50, 64), 0)
    moved: Crop = smoother(square_crop(np.array([101.0, 80.0]), 52, 64), 0.04)
    centre = moved.inverse @ (31.5, 31.5, 1)
    side = 64 / moved.matrix[0, 0]
    assert 100 < centre[0] < 100.9 and centre[1] == pytest.approx(80) and 100 < side < 103.8


@pytest.mark.parametrize("wrong", [{"angle_cutoff_hz": 0.0}, {"crop_beta": -1.0}, {"expression_beta": math.inf}])
def test_senseless_settings_are_refused(wrong):
    with pytest.raises(InputError):
        Smoothing(**wrong)
