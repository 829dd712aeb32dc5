from dataclasses import replace

import pytest
import torch

from mien.face3d.params import ARKIT_NAMES, FaceParams


def _faces(count: int) -> FaceParams:
    numbers = torch.arange(count, dtype=torch.float32)
    return FaceParams(
        angles=numbers[:, None].expand(-1, 3),
        expression=torch.zeros(count, 51),
        landmarks=torch.zeros(count, 68, 2),
        valid=numbers > 0,
        score=numbers / count,
    )


def test_names_are_51_in_alphabetical_order_of_the_published_list():
    assert len(ARKIT_NAMES) == len(set(ARKIT_NAMES)) == 51
    assert (ARKIT_NAMES[0], ARKIT_NAMES[24], ARKIT_NAMES[-1]) == ("browDownLeft", "jawOpen", "noseSneerRight")


def test_names_are_mediapipes(data_pack):
    import numpy as np

    with np.load(data_pack / "faces" / "portraits_cc0" / "labels.npz") as labels:
        assert tuple(labels["blendshape_names"][1:]) == ARKIT_NAMES


def test_selecting_keeps_the_batch_dimension():
    faces = _faces(4)
    assert len(faces[2]) == 1 and faces[2].angles[0, 0] == 2
    assert faces[1:3].score.tolist() == [0.25, 0.5]
    assert faces[faces.valid].angles[:, 0].tolist() == [1, 2, 3]
    joined = FaceParams.cat([faces[3], faces[:2]])
    assert joined.angles[:, 0].tolist() == [3, 0, 1]


def test_placeholders_are_marked_and_shapes_are_checked():
    assert not FaceParams.invalid(2).valid.any()
    with pytest.raises(ValueError, match="landmarks"):
        _faces(2).moved(torch.zeros(2, 5, 2))


def test_faces_of_different_models_are_not_joined():
    deca, arkit = FaceParams.invalid(2, "deca"), _faces(2)
    assert deca.model == "deca" and deca[0].model == deca.to("cpu").model == "deca"
    assert FaceParams.cat([FaceParams.invalid(1), replace(deca, valid=torch.ones(2) > 0)]).model == "deca"
    assert FaceParams.cat([deca, arkit]).model == "arkit"
    with pytest.raises(ValueError, match="different face models"):
        FaceParams.cat([replace(deca, valid=torch.ones(2) > 0), arkit])
    with pytest.raises(ValueError, match="model"):
        replace(arkit, model="smirk")
