"""FLAME's two files: every entry is accounted for."""

import pickle

import flame_rule
import numpy as np
import pytest
import scipy.sparse
import torch

from mien.checkpoints import flame
from mien.checkpoints.reader import read_foreign
from mien.errors import CheckpointError


@pytest.fixture
def tree() -> dict:
    return flame_rule.model_tree(0)


@pytest.fixture
def landmarks() -> dict:
    return flame_rule.landmark_tree(0)


def test_used_modes_and_shapes(tree, landmarks):
    assert flame.recognise(tree) and not flame.recognise(landmarks)
    assert flame.recognise_landmarks(landmarks) and not flame.recognise_landmarks(tree)
    made = flame.convert(tree, landmarks)
    np.testing.assert_array_equal(made.identity, tree["shapedirs"][..., :100])
    np.testing.assert_array_equal(made.expression, tree["shapedirs"][..., 300:350])
    assert made.parents == (-1, 0, 1, 1, 1) and made.full.faces.shape == (68,)


def test_tensors_and_double_precision_are_taken_too(tree, landmarks):
    other = {k: v.astype(np.float64) if k in ("v_template", "weights", "J_regressor") else v for k, v in tree.items()}
    marks = {k: torch.from_numpy(v) if k.startswith("dynamic") else v for k, v in landmarks.items()}
    ours, theirs = flame.convert(tree, landmarks), flame.convert(other, marks)
    assert torch.equal(ours.weights, theirs.weights) and torch.equal(ours.contour.faces, theirs.contour.faces)
    assert theirs.template.dtype == torch.float32


def test_files_are_read(tree, landmarks, tmp_path):
    """A pickle with a sparse regressor, and a dictionary of arrays and tensors in an .npy file."""
    sparse = tree | {"J_regressor": scipy.sparse.csc_matrix(tree["J_regressor"].astype(np.float64))}
    (tmp_path / "generic_model.pkl").write_bytes(pickle.dumps(sparse, protocol=2))
    mixed = {k: torch.from_numpy(v) if k.startswith("dynamic") else v for k, v in landmarks.items()}
    np.save(tmp_path / "landmark_embedding.npy", np.array(mixed, dtype=object), allow_pickle=True)
    read = flame.convert(*(read_foreign(tmp_path / f).tree for f in ("generic_model.pkl", "landmark_embedding.npy")))
    made = flame.convert(tree, landmarks)
    assert torch.equal(read.regressor, made.regressor) and torch.equal(read.identity, made.identity)
    assert torch.equal(read.contour.weights, made.contour.weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"more": 1}, "unknown more"),
        ({"weights": np.zeros((128, 4))}, "weights has shape"),
        ({"weights": None}, "weights is no array"),
        ({"v_template": np.full((128, 3), np.nan)}, "v_template has values that are not finite"),
        ({"shapedirs": np.zeros((128, 3, 300))}, "shapedirs has 300 modes"),
        ({"f": np.full((10, 3), 128)}, "f must be whole numbers from 0 to 127"),
        ({"f": np.zeros((10, 3))}, "f must be whole numbers"),
        ({"kintree_table": np.array([[0, 0, 1, 1, 1], [0, 1, 2, 3, 4]])}, "kintree_table is no tree"),
        ({"kintree_table": np.array([[-1, 2, 1, 1, 1], [0, 1, 2, 3, 4]])}, "kintree_table is no tree"),
    ],
)
def test_what_does_not_fit_in_the_model_is_named(tree, landmarks, change, message):
    with pytest.raises(CheckpointError, match=message):
        flame.convert(tree | change, landmarks)


def test_what_does_not_fit_in_the_landmarks_is_named(tree, landmarks):
    with pytest.raises(CheckpointError, match="static_lmk_faces_idx must be whole numbers from 0 to 199"):
        flame.convert(tree, landmarks | {"static_lmk_faces_idx": np.full(51, 200)})
    with pytest.raises(CheckpointError, match="full_lmk_bary_coords has shape"):
        flame.convert(tree, landmarks | {"full_lmk_bary_coords": np.zeros((68, 3))})
    del landmarks["dynamic_lmk_faces_idx"]
    with pytest.raises(CheckpointError, match="lacks dynamic_lmk_faces_idx"):
        flame.convert(tree, landmarks)
    with pytest.raises(CheckpointError, match="lacks J_regressor"):
        flame.convert({k: v for k, v in tree.items() if k != "J_regressor"}, landmarks)
