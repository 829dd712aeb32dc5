"""The published direction matrix: layout, numbers, refusals."""

from dataclasses import replace

import golden_rule
import pytest
import torch

from mien.checkpoints import directions
from mien.checkpoints.reader import read_foreign
from mien.errors import CheckpointError
from mien.face3d import FaceParams, house_from_deca
from mien.methods import DirectionConfig, DirectionMatrix


@pytest.fixture
def tree() -> dict:
    weights = {"linear.weight": torch.randn(3 * 4, 15), "linear.bias": torch.randn(3 * 4)}
    facts = {"learned_directions": 15, "shift_scale": 6.0, "w_plus": True, "num_layers_shift": 3}
    return {"A_matrix": weights, **facts, "shift_dim": 4, "step": 100_000}


def test_convert_and_export_are_inverses(tree):
    assert directions.recognise(tree)
    matrix = directions.convert(tree)
    assert matrix.config == DirectionConfig(coordinates=15, rows=3, dim=4, bias=True, bounded=False)
    assert not matrix.training and not any(p.requires_grad for p in matrix.parameters())
    back = directions.export(matrix)
    assert all(torch.equal(back["A_matrix"][k], tree["A_matrix"][k]) for k in tree["A_matrix"])
    assert {k: v for k, v in back.items() if k not in ("A_matrix", "step")} == {
        k: v for k, v in tree.items() if k not in ("A_matrix", "step")
    }


def test_a_file_is_read(tree, tmp_path):
    torch.save(tree, tmp_path / "A_matrix.pt")
    matrix = directions.convert(read_foreign(tmp_path / "A_matrix.pt").tree)
    assert torch.equal(matrix.linear.weight, tree["A_matrix"]["linear.weight"])


def test_files_of_the_released_trainer_lack_the_dimension(tree):
    del tree["shift_dim"], tree["step"]
    assert directions.convert(tree).config.dim == 4


def test_row_and_channel_order(tree):
    dq = torch.zeros(1, 15)
    dq[0, 2] = 1
    shift = directions.convert(tree)(dq)
    expected = tree["A_matrix"]["linear.weight"][4 * 1 + 3, 2] + tree["A_matrix"]["linear.bias"][4 * 1 + 3]
    torch.testing.assert_close(shift[0, 1, 3], expected)


def test_one_shift_for_all_rows(tree):
    weights = {"linear.weight": torch.randn(4, 15), "linear.bias": torch.randn(4)}
    shift = directions.convert(tree | {"A_matrix": weights, "w_plus": False})(torch.ones(2, 15))
    assert shift.shape == (2, 3, 4) and torch.equal(shift[:, 0], shift[:, 2])


def test_a_matrix_without_bias_gets_one_of_zeros():
    matrix = DirectionMatrix(DirectionConfig(coordinates=15, rows=2, dim=4))
    dq = torch.randn(3, 15)
    assert torch.equal(directions.convert(directions.export(matrix))(dq), matrix(dq))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": 3}, "unknown rows"),
        ({"A_matrix": {"linear.weight": torch.zeros(12, 15), "other": torch.zeros(1)}}, "unknown other"),
        ({"A_matrix": {"linear.bias": torch.zeros(12)}}, "linear.weight is missing"),
        ({"A_matrix": {"linear.weight": torch.zeros(12, 15), "linear.bias": torch.zeros(11)}}, "linear.bias has shape"),
        ({"A_matrix": [1]}, "no state dict"),
        ({"learned_directions": 14}, "learned_directions does not fit"),
        ({"num_layers_shift": 5}, "num_layers_shift does not fit"),
        ({"num_layers_shift": 0}, "does not fit"),
        ({"shift_dim": 5}, "shift_dim does not fit"),
        ({"shift_scale": 3.0}, "shift_scale does not fit"),
        ({"shift_scale": "six"}, "shift_scale is no number"),
        ({"shift_scale": float("nan")}, "shift_scale is no number"),
    ],
)
def test_what_does_not_fit_is_named(tree, change, message):
    with pytest.raises(CheckpointError, match=message):
        directions.convert(tree | change)


def test_missing_entries_are_named(tree):
    del tree["w_plus"]
    with pytest.raises(CheckpointError, match="lacks w_plus"):
        directions.convert(tree)
    assert not directions.recognise({"g_ema": {}}) and not directions.recognise([1])


def test_coordinates_of_both_data_sets(tree):
    assert directions.motion_space(tree).names[-1] == "expression_10"
    assert directions.motion_space(tree, "ffhq").names[1:4] == ("pitch", "jaw_open", "expression_0")
    with pytest.raises(CheckpointError, match="expressions"):
        narrow = {"A_matrix": {"linear.weight": torch.zeros(12, 2)}, "learned_directions": 2}
        directions.motion_space(tree | narrow)


def golden_tree(numbers) -> dict:
    weights = golden_rule.state_dict(numbers, raw=False)
    facts = {"learned_directions": 15, "shift_scale": float(numbers["in_shift_scale"]), "w_plus": True}
    return {"A_matrix": weights, **facts, "num_layers_shift": numbers["out_shift"].shape[1], "step": 1}


@pytest.mark.parity
def test_shift_of_published_coordinates(golden):
    numbers = golden("directions")
    tree = golden_tree(numbers)
    matrix, motion = directions.convert(tree), directions.motion_space(tree)

    def encoded(rows: torch.Tensor) -> torch.Tensor:
        blank = FaceParams.invalid(len(rows), "deca")
        return motion.encode(replace(blank, angles=house_from_deca(torch.deg2rad(rows[:, :3])), expression=rows[:, 3:]))

    source, target = (encoded(torch.from_numpy(numbers[f"in_{side}"])) for side in ("source", "target"))
    assert golden_rule.relative_error(target - source, numbers["out_dq"]) < 1e-5
    assert golden_rule.relative_error(matrix(target - source), numbers["out_shift"]) < 1e-5
    shifted = matrix.shift(torch.from_numpy(numbers["in_wplus"]), target - source)
    assert golden_rule.relative_error(shifted, numbers["out_wplus_shifted"]) < 1e-5
    assert golden_rule.relative_error(matrix(torch.zeros(1, 15)), numbers["out_shift_zero_input"]) < 1e-5
