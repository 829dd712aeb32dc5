"""Random crops: mirrors, turned angles, reproducibility."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.face3d.mirroring import MIRRORED_COEFFICIENTS, MIRRORED_LANDMARKS
from mien.face3d.params import ARKIT_NAMES
from mien.geometry import rotation_from_angles
from mien.tracking.augmentation import enlarge
from mien.tracking.samples import LabelledFace, draw_crops, draw_enlarged, draw_faces, draw_twins, mirrored
from mien.tracking.scenes import background, draw_scenes


class OneFace:
    """A picture with bright dots at the points of a schematic face."""

    def __init__(self, points: np.ndarray) -> None:
        self.points = points * 5 + (100, 90)
        self.picture = np.full((200, 210, 3), 40, np.uint8)
        self.angles = np.array([0.3, -0.1, 0.2])

    def __len__(self) -> int:
        return 1

    def face(self, index: int, rng: np.random.Generator) -> LabelledFace:
        expression = np.linspace(0, 1, len(ARKIT_NAMES))
        return LabelledFace(
            picture=self.picture,
            landmarks=self.points,
            angles=self.angles,
            expression=expression,
            trust=np.ones(3),
            known=np.ones(len(ARKIT_NAMES)),
        )

    def empty(self, rng: np.random.Generator) -> np.ndarray | None:
        return None


def test_mirroring_twice_changes_nothing(face_points, rng):
    face = OneFace(face_points).face(0, rng)
    twice = mirrored(mirrored(face))
    assert np.array_equal(twice.picture, face.picture)
    for field in ("landmarks", "angles", "expression"):
        assert np.allclose(getattr(twice, field), getattr(face, field))


def test_mirroring_a_symmetric_face_leaves_its_points_in_order(face_points):
    assert np.allclose(face_points[MIRRORED_LANDMARKS] * (-1, 1), face_points, atol=1e-6)


def test_left_and_right_coefficients_trade_places():
    pairs = {ARKIT_NAMES[i]: ARKIT_NAMES[j] for i, j in enumerate(MIRRORED_COEFFICIENTS)}
    assert (
        pairs["eyeBlinkLeft"] == "eyeBlinkRight"
        and pairs["mouthRight"] == "mouthLeft"
        and pairs["jawLeft"] == "jawRight"
    )
    assert pairs["jawOpen"] == "jawOpen" and pairs["browInnerUp"] == "browInnerUp"


def test_crops_repeat_with_their_seed_and_hold_the_face(face_points):
    material = OneFace(face_points)
    first, again = (draw_crops([material], [1.0], 64, 40, seed=5) for _ in range(2))
    other = draw_crops([material], [1.0], 64, 40, seed=6)
    assert torch.equal(first.crops, again.crops) and torch.equal(first.angles, again.angles)
    assert not torch.equal(first.crops, other.crops)
    faces = first.presence > 0
    assert 25 < faces.sum() < 40
    assert first.landmarks[faces].abs().median() < 1 and (first.trust[~faces] == 0).all()


def test_roll_of_the_angles_follows_the_tilt_of_the_points(face_points):
    batch = draw_crops([OneFace(face_points)], [1.0], 64, 60, seed=1)
    faces = batch.presence > 0
    points, angles = batch.landmarks[faces], batch.angles[faces]
    across = points[:, 45] - points[:, 36]
    tilt = torch.atan2(across[:, 1], across[:, 0])
    slope = np.polyfit(tilt.numpy(), angles[:, 2].numpy(), 1)[0]
    assert slope == pytest.approx(1.0, abs=0.15)
    assert tilt.abs().max() > 0.5


def test_scenes_repeat_and_mark_the_faces(face_points):
    material = OneFace(face_points)
    pictures, boxes = draw_scenes([material], [1.0], 96, 30, seed=3)
    again, boxes_again = draw_scenes([material], [1.0], 96, 30, seed=3)
    assert np.array_equal(pictures, again) and boxes == boxes_again
    assert pictures.shape == (30, 96, 96, 3) and pictures.dtype == np.uint8
    assert any(boxes) and not all(boxes)
    for box in (box for faces in boxes for box in faces):
        assert 10 < box.side < 110 and (box.centre >= 0).all() and (box.centre < 96).all()


def test_backgrounds_differ():
    one, two = (background(48, np.random.default_rng(seed)) for seed in (1, 2))
    assert one.shape == (48, 48, 3) and not np.array_equal(one, two)


def test_twins_are_framed_each_on_its_own_and_keep_their_difference(face_points):
    face = OneFace(face_points).face(0, np.random.default_rng(0))
    other = replace(face, landmarks=face.landmarks + (40.0, 0.0), angles=face.angles + (0.05, 0.0, 0.0))
    batch = draw_twins([(face, other), (face, face)], 64, seed=3)
    assert batch.crops.shape == (4, 64, 64, 3) and batch.presence.tolist() == [1, 1, 1, 1]
    assert batch.landmarks.mean(1).abs().max() < 0.25, "a head that has moved is in the middle of its own square"
    sight = rotation_from_angles(batch.angles.double())[:, 2]  # in the head's axes, where a square's tilt does not show
    between = [float((sight[k] - sight[k + 1]).norm()) for k in (0, 2)]
    assert between[0] == pytest.approx(0.05, rel=1e-3) and between[1] == pytest.approx(0.0, abs=1e-6)
    again = draw_twins([(face, other), (face, face)], 64, seed=3)
    assert torch.equal(again.crops, batch.crops)


def test_enlarged_faces_lose_detail_and_keep_their_place():
    rng = np.random.default_rng(0)
    picture = np.zeros((80, 80, 3), np.uint8)
    picture[:, 40:] = 200
    fine = np.tile(np.array([0, 200], np.uint8)[None, :, None], (80, 40, 3))
    for factor in (0.3, 0.6):
        seen = [enlarge(picture, factor, rng).mean(2) for _ in range(12)]
        middles = [np.argmax(np.diff(one.mean(0))) for one in seen]
        assert all(one.shape == (80, 80) for one in seen) and np.abs(np.array(middles) - 39.5).max() < 3.5
        assert np.median([enlarge(fine, factor, rng)[40].std() for _ in range(12)]) < 40 < fine[40].std()


def test_enlarged_crops_show_second_looks_and_pairs_are_disturbed_alike(face_points):
    material = OneFace(face_points)
    faces = draw_faces([material, material], [0.5, 0.5], 12, np.random.default_rng(0))
    batch = draw_enlarged(faces, 128, seed=5, alike=2)
    assert batch.crops.shape == (12, 128, 128, 3) and (batch.presence == 1).all()
    assert batch.angles[:, 2].abs().max() < 0.5, "straightened up to a few degrees"
    sides = batch.angles[:, 0].sign().reshape(6, 2)
    assert (sides[:, 0] == sides[:, 1]).all() and 0 < (sides[:, 0] > 0).sum() < 6, "mirrored together"
    again = draw_enlarged(faces, 128, seed=5, alike=2)
    assert torch.equal(batch.crops, again.crops) and torch.equal(batch.landmarks, again.landmarks)
    assert not torch.equal(batch.landmarks[0::2], batch.landmarks[1::2]), "framed each on its own"


def test_faces_are_drawn_as_often_as_their_share_says(face_points):
    first, second = OneFace(face_points), OneFace(face_points + 1)
    drawn = draw_faces([first, second], [1.0, 3.0], 400, np.random.default_rng(0))
    share = np.mean([np.allclose(face.landmarks, second.points) for face in drawn])
    assert 0.68 < share < 0.82
