"""Sampled expressions cover every coordinate and stay possible."""

import numpy as np
import pytest
import torch

from mien.face3d.motion import ARKIT_COORDINATES, arkit_motion_space
from mien.face3d.params import ARKIT_NAMES, FaceParams
from mien.synth.motion import random_angles, random_expression, tame
from mien.synth.sequence import band_limited, blink_curve, random_motion

AT = {name: i for i, name in enumerate(ARKIT_NAMES)}


@pytest.fixture(scope="module")
def sampled():
    rng = np.random.default_rng(0)
    expressions = np.stack([random_expression(rng) for _ in range(5000)])
    return np.stack([random_angles(rng) for _ in range(5000)]), expressions


def test_every_coordinate_is_exercised(sampled):
    angles, expressions = (torch.from_numpy(part).float() for part in sampled)
    count = len(angles)
    params = FaceParams(angles, expressions, torch.zeros(count, 68, 2), torch.ones(count) > 0, torch.ones(count))
    values = arkit_motion_space().read(params)
    spread = (values.quantile(0.999, 0) - values.quantile(0.001, 0)).tolist()
    narrow = {n: s for n, s in zip(ARKIT_COORDINATES, spread, strict=True) if s < 0.7}
    assert not narrow, "one frame in a thousand goes this far"


def test_a_fifth_of_the_frames_has_closed_eyes(sampled):
    lids = sampled[1][:, [AT["eyeBlinkLeft"], AT["eyeBlinkRight"]]]
    assert 0.16 < np.mean((lids > 0.7).any(1)) < 0.30
    both = lids[(lids > 0.7).any(1)]
    assert np.mean(np.abs(both[:, 0] - both[:, 1]) < 0.1) > 0.6


def test_impossible_combinations_do_not_occur(sampled):
    e = sampled[1]
    assert e.min() >= 0 and e.max() <= 1
    assert (e[:, AT["jawOpen"]] * e[:, AT["mouthClose"]]).max() < 0.3
    assert (e[:, AT["mouthSmileLeft"]] * e[:, AT["mouthFrownLeft"]]).max() < 0.3
    assert (e[:, AT["eyeLookUpLeft"]] * e[:, AT["eyeLookDownLeft"]]).max() == 0
    angles = np.degrees(sampled[0])
    assert (np.abs(angles) <= [45.001, 25.001, 20.001]).all()
    assert np.abs(angles[:, 0]).max() > 40


def test_tame_leaves_its_input_alone():
    expression = np.full(51, 0.8)
    assert tame(expression).max() <= 1
    assert (expression == 0.8).all()


def test_curves_have_no_fast_content():
    curves = band_limited(np.random.default_rng(1), 500, 25.0, 0.5, 3)
    power = np.abs(np.fft.rfft(curves * np.hanning(500)[:, None], axis=0)) ** 2
    frequencies = np.fft.rfftfreq(500, 1 / 25.0)
    assert power[frequencies > 1.0].sum() < 1e-3 * power.sum()
    assert np.allclose(curves.std(0), 1, atol=0.5)


def test_blinks_close_fully_and_open_again():
    curve = blink_curve(50, 25.0, np.array([0.4]))
    assert curve.max() == 1 and curve[0] == 0 and curve[-1] == 0
    assert 4 <= np.count_nonzero(curve) <= 8


def test_motion_is_smooth_and_reproducible():
    motion, again = random_motion(100, 25.0, 5), random_motion(100, 25.0, 5)
    assert np.array_equal(motion.expression, again.expression)
    assert not np.array_equal(motion.angles, random_motion(100, 25.0, 6).angles)
    assert np.degrees(np.abs(np.diff(motion.angles, axis=0)).max()) < 4
    assert motion.expression.min() >= 0 and motion.expression.max() <= 1
