"""The square around a face does not depend on how the head rolls, and crops land where they should."""

import numpy as np
import pytest

from mien.geometry import apply_affine
from mien.tracking.framing import BOX_MARGIN, box_from_landmarks, crop_matrix, upright_frame


@pytest.mark.parametrize("degrees", [-70, -20, 0, 35])
def test_side_and_centre_follow_the_roll(face_points, degrees):
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])  # clockwise as seen (y down)
    points = face_points * 3 + (200, 150)
    centre, side, tilt = upright_frame(points)
    turned = (points - (200, 150)) @ turn.T + (200, 150)
    turned_centre, turned_side, turned_tilt = upright_frame(turned)
    assert turned_side == pytest.approx(side)
    assert turned_tilt - tilt == pytest.approx(angle, abs=1e-6)
    assert np.allclose(turned_centre, turn @ (centre - (200, 150)) + (200, 150))


def test_box_contains_the_points_with_its_margin(face_points):
    box = box_from_landmarks(face_points * 10, 0.7)
    extent = max(np.ptp(face_points * 10, axis=0))
    assert box.side == pytest.approx(BOX_MARGIN * extent, rel=1e-3)
    assert box.score == 0.7
    assert (face_points * 10 > (box.x0, box.y0)).all() and (face_points * 10 < (box.x1, box.y1)).all()


def test_crop_matrix_undoes_the_tilt(face_points):
    angle = np.radians(30)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre, side, tilt = upright_frame(face_points @ turn.T)
    crop = apply_affine(crop_matrix(centre, side, tilt, 96), face_points @ turn.T)
    assert np.allclose((crop.min(0) + crop.max(0)) / 2, 47.5)
    assert max(np.ptp(crop, axis=0)) == pytest.approx(96 / BOX_MARGIN)
    assert upright_frame(crop)[2] == pytest.approx(0, abs=1e-9)
