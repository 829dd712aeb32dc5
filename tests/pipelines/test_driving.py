from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mien.errors import InputError
from mien.face3d.leaning import give_lean, take_lean
from mien.face3d.motion import ARKIT_COORDINATES, MotionSpace, arkit_motion_space, deca_motion_space
from mien.face3d.ranges import published_ranges
from mien.pipelines.driving import edit_change, motion_change, strength_vector, within_range

MOTION = arkit_motion_space()
SMILE, YAW = ARKIT_COORDINATES.index("mouth_smile"), ARKIT_COORDINATES.index("yaw")


def _q(**values: float) -> torch.Tensor:
    q = torch.zeros(1, len(MOTION))
    for name, value in values.items():
        q[0, MOTION.index(name)] = value
    return q


def _cut(source: torch.Tensor, *others: torch.Tensor, motion: MotionSpace = MOTION, strength: float = 1.0):
    return within_range(motion, source, motion_change(source, *others, strength=strength))


def test_results_stay_where_training_pictures_were():
    jaw = MOTION.index("jaw_open")
    trained = MOTION.ranges.clone()
    trained[jaw] = torch.tensor([0.0, 0.5])
    narrow = replace(MOTION, trained=trained)
    assert narrow.limits()[:, jaw].tolist() == pytest.approx([-6, 0]) and float(
        narrow.limits()[1, YAW]
    ) == pytest.approx(6)
    change = _cut(_q(jaw_open=-6), _q(jaw_open=5, yaw=20), motion=narrow)
    assert change[0, [jaw, YAW]].tolist() == pytest.approx([6, 6])
    beyond = _cut(_q(jaw_open=3), _q(jaw_open=5), motion=narrow)
    assert float(beyond[0, jaw]) == 0, "a source that is beyond by itself stays, and goes no farther"
    edited = narrow.denormalise(_q(jaw_open=-6) + edit_change(narrow, _q(jaw_open=-6), {"jaw_open": 1.0}))
    assert float(edited[0, jaw]) == pytest.approx(0.5)
    assert float(edit_change(narrow, _q(jaw_open=-6), {"jaw_open": 1.0}, bounded=False)[0, jaw]) == pytest.approx(12)


def test_absolute_and_relative_change():
    source, driver, reference = _q(yaw=1), _q(yaw=4, jaw_open=2), _q(yaw=3)
    assert torch.equal(motion_change(source, driver), _q(yaw=3, jaw_open=2))
    assert torch.equal(motion_change(source, driver, reference), _q(yaw=1, jaw_open=2))
    assert torch.equal(motion_change(source, driver, strength=0.5), _q(yaw=1.5, jaw_open=1))


def test_the_source_never_leaves_the_trained_range():
    change = _cut(_q(yaw=2), _q(yaw=20), strength=2.0)
    assert change[0, YAW] == 4
    assert _cut(_q(yaw=2), _q(yaw=2), _q(yaw=20))[0, YAW] == -8


def test_published_matrices_are_not_cut():
    change = motion_change(_q(yaw=2), _q(yaw=20), strength=2.0)
    assert change[0, YAW] == 36
    far = edit_change(MOTION, _q(), {"yaw": 90.0}, bounded=False)
    assert MOTION.denormalise(far)[0, YAW] == pytest.approx(90)


def test_a_source_outside_the_range_stays_where_it_is():
    outside = _q(yaw=7.5)
    assert torch.equal(_cut(outside, outside), torch.zeros(1, len(MOTION)))
    assert _cut(outside, _q(yaw=9))[0, YAW] == 0 and _cut(outside, _q(yaw=-9))[0, YAW] == -13.5


def test_a_lean_has_no_limit_where_pictures_are_turned():
    """Roll is cut at 20 degrees; where what leans beyond 12 is done by turning, it is not, and yaw still is."""
    far = MOTION.normalise(torch.cat([torch.tensor([[0.0, 0.0, 60.0]]), torch.full((1, len(MOTION) - 3), 0.3)], 1))
    still = MOTION.normalise(torch.cat([torch.zeros(1, 3), torch.full((1, len(MOTION) - 3), 0.3)], 1))
    leaning = replace(MOTION, lean_deg=12.0)
    assert MOTION.denormalise(still + _cut(still, far))[0, 2] == pytest.approx(20, abs=1e-3)
    assert MOTION.denormalise(still + _cut(still, far, motion=leaning))[0, 2] == pytest.approx(60, abs=1e-3)
    edited = still + edit_change(leaning, still, {"roll": 60.0, "yaw": 80.0})
    upright, turn = take_lean(leaning, edited)
    assert float(turn) > 0.5 and float(MOTION.denormalise(upright)[0, 0].abs()) <= 45.001


def test_a_source_that_leans_and_turns_far_stays_where_it_is():
    """Its range is that of the upright head, which is what directions move."""
    leaning = replace(MOTION, lean_deg=12.0)
    upright = torch.cat([torch.tensor([[60.0, 0.0, 0.0]]), torch.full((1, len(MOTION) - 3), 0.3)], 1)
    source = give_lean(leaning, MOTION.normalise(upright), torch.deg2rad(torch.tensor([70.0])))
    assert MOTION.denormalise(source)[0, 0] < 40, "in the picture it hardly turns"
    torch.testing.assert_close(_cut(source, source, motion=leaning), torch.zeros(1, len(MOTION)), rtol=0, atol=1e-4)


def test_strength_by_group_and_name():
    vector = strength_vector(MOTION, {"pose": 0.5, "yaw": 0.25, "mouth": 0.0})
    assert vector[YAW] == 0.25 and vector[MOTION.index("pitch")] == 0.5 and vector[SMILE] == 0
    assert vector[MOTION.index("blink_left")] == 1
    assert torch.equal(strength_vector(MOTION, 0.3), torch.full((len(MOTION),), 0.3))
    for wrong in ({"nose": 1.0}, -1.0, float("nan"), {"pose": 9.0}):
        with pytest.raises(InputError):
            strength_vector(MOTION, wrong)


def test_groups_that_a_bundle_lacks_are_refused():
    """A strength that would do nothing is a mistake."""
    deca = deca_motion_space(published_ranges("voxceleb"))
    assert strength_vector(deca, {"mouth": 0.5}).tolist() == [1, 1, 1, 0.5] + [1] * 11
    with pytest.raises(InputError, match=r"no coordinates of the brows.*yaw.*expression_0"):
        strength_vector(deca, {"brows": 0.5})


def test_short_names_stand_for_coordinates():
    assert torch.equal(
        edit_change(MOTION, _q(), {"blink": 0.75, "smile": 1.0}),
        edit_change(MOTION, _q(), {"blink_left": 0.75, "blink_right": 0.75, "mouth_smile": 1.0}),
    )
    with pytest.raises(InputError, match="unknown coordinate 'smile'"):
        edit_change(deca_motion_space(published_ranges("voxceleb")), torch.zeros(1, 15), {"smile": 1.0})


def test_edit_reaches_absolute_targets_in_natural_units():
    source = MOTION.normalise(torch.full((1, len(MOTION)), 0.2))
    moved = MOTION.denormalise(source + edit_change(MOTION, source, {"yaw": 15.0, "mouth_smile": 0.7}))
    expected = torch.full((1, len(MOTION)), 0.2)
    expected[0, YAW], expected[0, SMILE] = 15.0, 0.7
    torch.testing.assert_close(moved, expected)
    assert MOTION.denormalise(source + edit_change(MOTION, source, {"yaw": 400.0}))[0, YAW] == pytest.approx(45)


def test_edit_names_what_is_wrong():
    with pytest.raises(InputError, match=r"unknown coordinate 'grin'.*mouth_smile"):
        edit_change(MOTION, _q(), {"grin": 1.0})
    with pytest.raises(InputError, match="not a number"):
        edit_change(MOTION, _q(), {"yaw": float("nan")})
