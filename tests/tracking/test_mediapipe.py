"""MediaPipe behind the protocol: signs, order of points, small faces, the same face in a clip."""

import numpy as np
import pytest
import torch

from mien.errors import InputError, MissingDataError
from mien.face3d.params import ARKIT_NAMES, FaceParams
from mien.geometry import rotation_from_angles
from mien.tracking import follow
from mien.tracking.calibration import known_coefficients, to_ict_scale
from mien.tracking.framing import box_from_landmarks
from mien.tracking.material import (
    CLIPS,
    GENERATED,
    PHOTOGRAPHS,
    angles_from_points,
    held_out,
    load_clip,
    load_photographs,
    read_frames,
)
from mien.tracking.mediapipe import LANDMARKS_68, MediaPipeTracker, params_from_mediapipe


@pytest.fixture(scope="module")
def tracker(data_pack):
    pytest.importorskip("mediapipe")
    tracker = MediaPipeTracker(data_pack / "models" / "face_landmarker.task", scale="raw")
    yield tracker
    tracker.close()


@pytest.fixture(scope="module")
def clip(data_pack):
    name = "head_pose_female_and_male"
    return read_frames(data_pack / "clips" / f"{name}.mp4"), np.load(data_pack / "clips" / f"{name}_labels.npz")


def test_signs_are_the_house_signs():
    angles = torch.tensor([[0.4, -0.3, 0.2], [-0.1, 0.5, -0.6]], dtype=torch.float64)
    transforms = np.tile(np.eye(4), (2, 1, 1))
    transforms[:, :3, :3] = rotation_from_angles(angles).numpy()
    params = params_from_mediapipe(np.zeros((2, 478, 3)), np.zeros((2, 52)), transforms)
    assert torch.allclose(params.angles.double(), angles, atol=1e-6)


def test_the_table_of_points_is_symmetric_in_the_labels(data_pack):
    labels = np.load(data_pack / "faces" / "london_ccby" / "labels.npz")
    points = labels["landmarks"][:, LANDMARKS_68, :2].mean((0, 2))
    middle = points[[27, 28, 29, 30, 33, 51, 57, 8], 0].mean()
    for right, left in (
        (0, 16),
        (17, 26),
        (36, 45),
        (39, 42),
        (31, 35),
        (48, 54),
        (60, 64),
        (61, 63),
        (67, 65),
        (41, 46),
    ):
        assert points[right, 0] < middle < points[left, 0]
        assert abs(points[right, 0] + points[left, 0] - 2 * middle) < 8
    assert points[8, 1] > points[57, 1] > points[66, 1] >= points[62, 1] > points[51, 1] > points[33, 1] > points[27, 1]
    assert points[37, 1] < points[41, 1] and points[19, 1] < points[37, 1]


def test_generated_portraits_come_alone_where_nobody_real_may_be(data_pack):
    everybody, nobody = (load_photographs("train", data_pack, sets) for sets in (PHOTOGRAPHS, GENERATED))
    assert (len(nobody), len(everybody)) == (160, 160 + 82)
    assert all(map(np.array_equal, nobody.pictures, everybody.pictures[:160]))


def test_measures_what_the_labels_say(tracker, data_pack):
    material = load_photographs("held_out", data_pack)
    labels = np.load(data_pack / "faces" / "portraits_cc0" / "labels.npz")
    rows = np.flatnonzero(held_out(200))[:6]
    boxes = [box_from_landmarks(p.numpy()) for p in material.params.landmarks[:6]]
    found = tracker.estimate(material.pictures[:6], boxes)
    expected = params_from_mediapipe(labels["landmarks"][rows], labels["blendshapes"][rows], labels["transforms"][rows])
    assert found.valid.all()
    assert (found.angles - expected.angles).abs().max() < np.radians(5)
    assert (found.landmarks - material.params.landmarks[:6]).abs().mean() < 3
    assert (found.expression - expected.expression).abs().mean() < 0.05


def test_small_faces_are_found_and_a_wall_is_empty(tracker, clip):
    frames, _ = clip
    small = np.full((540, 960, 3), 128, np.uint8)
    small[100:370, 300:780] = frames[0]
    boxes = tracker.find(small)
    assert len(boxes) == 2
    assert not tracker.estimate([frames[0]], [boxes[0].square(np.array([215.0, 220.0]), 50)]).valid.any()
    assert tracker.find(np.full((200, 200, 3), 90, np.uint8)) == []


@pytest.mark.parametrize("choose,face", [("left", 0), ("right", 1)])
def test_following_keeps_the_face(tracker, clip, choose, face):
    frames, labels = clip
    nose = labels["landmarks"][:24, face, 4, :2]
    found = FaceParams.cat(list(follow(tracker, frames[:24], choose)))
    assert found.valid.all()
    assert np.abs(found.landmarks[:, 30].numpy() - nose).max() < 6
    assert found.angles[-1, 2] < np.radians(-20)  # both heads lie on their right shoulder: counter-clockwise


def test_video_mode_follows_too(data_pack, clip):
    pytest.importorskip("mediapipe")
    tracker = MediaPipeTracker(data_pack / "models" / "face_landmarker.task", mode="video")
    found = FaceParams.cat(list(follow(tracker, clip[0][:10], "right", batch=1)))
    tracker.close()
    assert found.valid.all()


def test_angles_from_points_agree_with_the_matrix_in_the_middle_of_a_picture(data_pack):
    labels = np.load(data_pack / "faces" / "portraits_cc0" / "labels.npz")
    rows = slice(0, 60)
    angles = angles_from_points(labels["landmarks"][rows], data_pack / "head")
    expected = params_from_mediapipe(labels["landmarks"][rows], labels["blendshapes"][rows], labels["transforms"][rows])
    expected = to_ict_scale(expected).angles.numpy()
    assert np.degrees(np.abs(angles - expected)).mean(0).max() < 2.5


def test_the_split_is_by_identity_and_by_time(data_pack):
    assert held_out(10).tolist() == [False] * 4 + [True] + [False] * 4 + [True]
    parts = {part: load_clip(CLIPS[0], part, data_pack) for part in ("train", "held_out", "all")}
    assert len(parts["train"]) + len(parts["held_out"]) == len(parts["all"]) == 62
    assert np.array_equal(parts["held_out"].pictures[-1], parts["all"].pictures[-1])


def test_scores_become_weights_monotonically():
    blank = FaceParams.invalid(11)
    ramp = torch.linspace(0, 1, 11)[:, None].expand(11, 51).contiguous()
    weights = to_ict_scale(FaceParams(**{**vars(blank), "expression": ramp})).expression
    assert (weights.diff(dim=0) >= 0).all() and weights.min() >= 0 and weights.max() <= 1
    known = known_coefficients()
    assert known[ARKIT_NAMES.index("jawOpen")] == 1 and known[ARKIT_NAMES.index("cheekPuff")] == 0


def test_bad_choices_are_refused(monkeypatch, tmp_path):
    monkeypatch.delenv("MIEN_FACE_LANDMARKER", raising=False)
    with pytest.raises(MissingDataError):
        MediaPipeTracker()
    with pytest.raises(MissingDataError):
        MediaPipeTracker(tmp_path / "none.task")
    with pytest.raises(InputError):
        MediaPipeTracker(mode="film")  # pyright: ignore[reportArgumentType]
