"""Labels measured anew: kept in a file, checked against the pictures."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mien.errors import TrainingError
from mien.tracking import relabelling
from mien.tracking.material import load_clip
from mien.tracking.relabelling import relabelled


@pytest.fixture(scope="module")
def faces(data_pack):
    clip = load_clip("head_pose_male", "held_out", data_pack)
    assert len(clip) > 4
    return clip


def test_labels_are_measured_once(faces, data_pack, tmp_path, monkeypatch):
    pytest.importorskip("mediapipe")
    monkeypatch.setenv("MIEN_FACE_LANDMARKER", str(data_pack / "models" / "face_landmarker.task"))
    monkeypatch.setattr(relabelling, "SteadyTracker", lambda tracker: tracker)  # one look is enough here
    file = tmp_path / "labels" / "file.safetensors"
    first = relabelled({"clip": faces}, file)["clip"]
    assert first.pictures[0] is faces.pictures[0]
    change = torch.rad2deg((first.params.angles - faces.params.angles).abs())
    assert 0 < change.mean() < 6 and not torch.equal(first.params.expression, faces.params.expression)
    monkeypatch.setattr(relabelling, "MediaPipeTracker", None)  # a second call must not need it
    again = relabelled({"clip": faces}, file)["clip"]
    assert torch.equal(again.params.angles, first.params.angles)
    face = again.face(0, np.random.default_rng(0))
    np.testing.assert_allclose(face.angles, first.params.angles[0].numpy())


def test_lost_faces_keep_their_labels_and_foreign_files_are_refused(faces, tmp_path):
    count, file = len(faces), tmp_path / "labels.safetensors"
    shapes = {"angles": (count, 3), "expression": (count, 51), "landmarks": (count, 68, 2)}
    labels = {f"clip.{name}": torch.full(shape, 0.25) for name, shape in shapes.items()}
    valid = torch.ones(count, dtype=torch.bool)
    valid[1] = False
    save_file(labels | {"clip.valid": valid}, file)
    params = relabelled({"clip": faces}, file)["clip"].params
    assert torch.all(params.angles[0] == 0.25) and torch.equal(params.angles[1], faces.params.angles[1])
    save_file({name: value[:-1].contiguous() for name, value in load_file(file).items()}, file)
    with pytest.raises(TrainingError, match="delete it to measure anew"):
        relabelled({"clip": faces}, file)
    with pytest.raises(TrainingError, match="other"):
        relabelled({"other": faces}, file)
