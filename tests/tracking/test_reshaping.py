"""Warped photographs: points go where the ICT head goes, pictures follow, nothing changes without a change."""

import numpy as np
import pytest
import torch

from mien.face3d.params import ARKIT_NAMES
from mien.geometry import rotation_from_angles
from mien.tracking.material import angles_from_points, load_photographs, reshaped
from mien.tracking.reshaping import load_head_table, random_change, reshape_face, turned_by


@pytest.fixture(scope="module")
def face(data_pack):
    material = load_photographs("held_out", data_pack)
    picture = material.face(0, np.random.default_rng(0), level=0).picture
    points = (material.points[0] + (0.5, 0.5, 0)) * 0.5 - (0.5, 0.5, 0)
    table = load_head_table(data_pack / "head", with_expression=True)
    angles, expression = (getattr(material.params, name)[0].double().numpy() for name in ("angles", "expression"))
    return picture, points, angles, np.minimum(expression, 0.2), table


def change(**weights: float) -> np.ndarray:
    values = np.zeros(len(ARKIT_NAMES))
    for name, weight in weights.items():
        values[ARKIT_NAMES.index(name)] = weight
    return values


def test_no_change_is_no_change(face):
    picture, points, angles, expression, table = face
    warped, moved = reshape_face(picture, points, angles, expression, change(), table)
    assert np.array_equal(moved, points)
    assert np.abs(warped.astype(int) - picture).max() <= 2


def test_the_jaw_opens_in_proportion(face):
    picture, points, angles, expression, table = face
    gaps = []
    for weight in (0.0, 0.4, 0.8):
        warped, moved = reshape_face(picture, points, angles, expression, change(jawOpen=weight), table)
        gaps.append(moved[14, 1] - moved[13, 1])
        assert np.allclose(moved[[33, 263, 168]], points[[33, 263, 168]], atol=0.6)
    assert gaps[1] - gaps[0] == pytest.approx(gaps[2] - gaps[1], rel=1e-6)
    assert gaps[2] - gaps[0] > 0.05 * (points[152, 1] - points[10, 1])
    assert not np.array_equal(warped, picture)


def test_lids_close_one_by_one(face):
    picture, points, angles, expression, table = face
    weight = 1 - expression[ARKIT_NAMES.index("eyeBlinkLeft")]
    _, moved = reshape_face(picture, points, angles, expression, change(eyeBlinkLeft=weight), table)
    before, after = (
        {s: p[low, 1] - p[up, 1] for s, up, low in (("left", 386, 374), ("right", 159, 145))} for p in (points, moved)
    )
    assert after["left"] < 0.15 * before["left"] and after["right"] == pytest.approx(before["right"])


@pytest.mark.parametrize("axis", range(3), ids=("yaw", "pitch", "roll"))
def test_heads_turn_as_far_as_asked(face, data_pack, axis):
    picture, points, angles, expression, table = face
    turn = np.radians(4.0) * np.eye(3)[axis]
    warped, moved = reshape_face(picture, points, angles, expression, change(), table, turn)
    before, after = angles_from_points(np.stack([points, moved]), data_pack / "head")
    between = rotation_from_angles(torch.from_numpy(np.stack([before, after, turn])))
    assert torch.allclose(between[1], between[2] @ between[0], atol=6e-3), "but for the calibration"
    np.testing.assert_allclose(turned_by(before, turn), after, atol=6e-3)
    tip, sides = 1, [234, 454]
    np.testing.assert_allclose(moved[sides].mean(0), points[sides].mean(0), atol=1e-9)
    assert axis == 2 or np.abs(moved[tip, :2] - points[tip, :2]).max() > 1
    assert np.abs(warped.astype(int) - picture).mean() > 1


def test_a_head_turned_to_the_right_of_the_picture_moves_its_nose_there(face):
    picture, points, angles, expression, table = face
    _, right = reshape_face(picture, points, angles, expression, change(), table, np.radians([4.0, 0, 0]))
    _, up = reshape_face(picture, points, angles, expression, change(), table, np.radians([0, 4.0, 0]))
    assert right[1, 0] > points[1, 0] + 1 and up[1, 1] < points[1, 1] - 1


def test_random_changes_stay_in_range(rng):
    for _ in range(50):
        expression = rng.random(len(ARKIT_NAMES))
        total = expression + random_change(expression, rng)
        assert total.max() <= 1 + 1e-9 and (total >= expression).all()


def test_half_as_strong_is_half_of_the_change(data_pack):
    faces = load_photographs("held_out", data_pack)
    before = faces.params.expression[::30]
    whole, half, none = (
        reshaped(faces, 1, 5, every=30, folder=data_pack, strength=s).params.expression - before
        for s in (1.0, 0.5, 0.0)
    )
    assert whole.max() > 0.2 and not none.any()
    torch.testing.assert_close(half, 0.5 * whole, rtol=0, atol=1e-6)


def test_reshaped_material_repeats_and_carries_its_labels(data_pack):
    faces = load_photographs("held_out", data_pack)
    first, again = (reshaped(faces, 2, 5, every=30, folder=data_pack) for _ in range(2))
    assert len(first) == 2 * len(range(0, len(faces), 30))
    assert all(np.array_equal(a, b) for a, b in zip(first.pictures, again.pictures, strict=True))
    assert (first.params.expression >= faces.params.expression[0] - 1e-6)[0].all()
    inside = first.params.landmarks
    assert inside.min() > 0 and inside.max() < 256
