"""The motion space of the published weights."""

from dataclasses import replace

import golden_rule
import numpy as np
import pytest
import torch

from mien.errors import InputError
from mien.face3d import FaceParams, arkit_motion_space, deca_motion_space, house_from_deca, published_ranges


def deca_faces(rows: torch.Tensor) -> FaceParams:
    """Rows (B, 54) of yaw, pitch, roll in DECA's degrees, jaw, expression 0 … 49."""
    blank = FaceParams.invalid(len(rows), "deca")
    return replace(blank, angles=house_from_deca(torch.deg2rad(rows[:, :3])), expression=rows[:, 3:])


def test_names_signs_and_scales():
    space = deca_motion_space(published_ranges("voxceleb"))
    assert space.names[:5] == ("yaw", "pitch", "roll", "jaw_open", "expression_0")
    assert len(space) == 15 and space.names[-1] == "expression_10"
    turned = replace(FaceParams.invalid(1, "deca"), angles=torch.deg2rad(torch.tensor([[30.0, 0.0, 0.0]])))
    assert float(space.read(turned)[0, 0]) == pytest.approx(30, abs=1e-4), "natural values have the house's signs"
    assert float(space.encode(turned)[0, 0]) == pytest.approx(-30 * 6 / 40, abs=1e-4), "q has DECA's"


def test_decode_inverts_encode_and_clips_nothing(rng):
    space = deca_motion_space(published_ranges("voxceleb"))
    q = torch.from_numpy(rng.uniform(-8, 8, (100, 15))).float()
    angles, expression = space.decode(q)
    again = space.encode(replace(FaceParams.invalid(100, "deca"), angles=angles, expression=expression))
    torch.testing.assert_close(again, q, atol=1e-4, rtol=0)
    assert float(expression.min()) < -1 and not expression[:, 12:].any()


def test_ends_of_the_table_are_minus_six_and_six():
    table = published_ranges("ffhq")
    space = deca_motion_space(table, roll=False, num_expressions=12)
    assert len(space) == 15 and "roll" not in space.names
    ends = space.encode(deca_faces(table.T.float()))
    torch.testing.assert_close(ends[:, 2:], torch.tensor([[-6.0], [6.0]]).expand(2, 13), atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match="voxceleb"):
        published_ranges("celeba")


def test_parameters_of_another_model_are_refused():
    deca, arkit = FaceParams.invalid(1, "deca"), FaceParams.invalid(1)
    with pytest.raises(InputError, match="deca parameters; the tracker gave arkit"):
        deca_motion_space(published_ranges("voxceleb")).encode(arkit)
    with pytest.raises(InputError, match="arkit parameters"):
        arkit_motion_space().encode(deca)


@pytest.mark.parity
def test_tables_are_the_published_ones(golden):
    numbers = golden("losses")
    for name, key in (("voxceleb", "in_ranges_voxceleb"), ("ffhq", "in_ranges_FFHQ")):
        np.testing.assert_allclose(published_ranges(name).numpy(), numbers[key], atol=1e-8)


@pytest.mark.parity
def test_change_of_coordinates(golden):
    numbers = golden("directions")
    space = deca_motion_space(torch.from_numpy(numbers["in_ranges_voxceleb"]))
    source, target = (
        space.encode(deca_faces(torch.from_numpy(numbers[f"in_{side}"]))) for side in ("source", "target")
    )
    assert golden_rule.relative_error(target - source, numbers["out_dq"]) < 1e-5
    points = torch.tensor([[0.0], [1.0]]).expand(2, 15)
    offset, slope = space.normalise(points)[0], space.normalise(points).diff(dim=0)[0]
    assert golden_rule.relative_error(torch.stack([slope, offset], 1)[3:], numbers["out_ab"]) < 1e-5
