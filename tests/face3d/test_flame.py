"""FLAME: skinning, landmarks and projection against the reference, and what must hold for any tables."""

import flame_rule
import golden_rule
import numpy as np
import pytest
import torch

from mien.checkpoints.flame import convert
from mien.face3d.flame import Flame, project
from mien.geometry import rotation_from_angles

LIMIT = 1e-5


@pytest.fixture(scope="module")
def numbers(golden):
    with golden("deca_flame") as stored:
        return {k: torch.from_numpy(v) for k, v in stored.items() if v.dtype.kind in "fiu" and v.dtype != np.uint32}


@pytest.fixture(scope="module")
def flame() -> Flame:
    return convert(flame_rule.model_tree(0), flame_rule.landmark_tree(0))


@pytest.fixture(scope="module")
def reference(numbers) -> Flame:
    seed = int(numbers["seed"])
    made = convert(flame_rule.model_tree(seed), flame_rule.landmark_tree(seed))
    for ours, stored in ((made.template, "v_template"), (made.weights, "lbs_weights"), (made.triangles, "faces")):
        assert torch.equal(ours, numbers[f"in_{stored}"]), "the recipe gives the stored tables"
    return made


def still(count: int) -> torch.Tensor:
    return torch.eye(3).expand(count, 5, 3, 3)


@pytest.mark.parity
def test_vertices_and_landmarks(reference, numbers):
    rotations = reference.rotations(numbers["in_pose"])
    vertices = reference.vertices(numbers["in_shape"], numbers["in_exp"], rotations)
    seen, fixed = reference.landmarks_seen(vertices, rotations), reference.landmarks_fixed(vertices)
    assert torch.equal(reference.contour_rows(rotations), numbers["out_contour_row"])
    found = {"vertices": vertices, "landmarks2d_model": seen, "landmarks3d_model": fixed}
    camera = numbers["in_cam_fixed"]
    found |= {"px_vertices": project(vertices, camera), "px_landmarks2d": project(seen, camera)[..., :2]}
    found |= {"px_landmarks3d": project(fixed, camera)}
    camera = numbers["in_cam_random"]
    found |= {"px_vertices_camrandom": project(vertices, camera)}
    found |= {"px_landmarks2d_camrandom": project(seen, camera)[..., :2]}
    for name, values in found.items():
        assert golden_rule.relative_error(values, numbers[f"out_{name}"].numpy()) < LIMIT, name


@pytest.mark.parity
def test_contour_over_a_sweep_of_yaw(reference, numbers):
    rotations, none = reference.rotations(numbers["in_sweep_pose"]), torch.zeros(len(numbers["in_sweep_pose"]), 0)
    vertices = reference.vertices(none, none, rotations)
    assert torch.equal(reference.contour_rows(rotations), numbers["out_sweep_contour_row"])
    seen = reference.landmarks_seen(vertices, rotations)
    assert golden_rule.relative_error(seen, numbers["out_sweep_landmarks2d_model"].numpy()) < LIMIT
    fixed = reference.landmarks_fixed(vertices)
    assert golden_rule.relative_error(fixed, numbers["out_sweep_landmarks3d_model"].numpy()) < LIMIT


def test_at_rest_the_head_is_linear(flame):
    identity, expression = torch.randn(2, 100), torch.randn(2, 50)
    expected = flame.template + flame.identity @ identity[0] + flame.expression @ expression[0]
    found = flame.vertices(identity, expression, still(2))[0]
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_the_head_turns_rigidly_about_its_joint(flame):
    turn = rotation_from_angles(torch.tensor([[0.7, -0.3, 0.2]]))
    rotations = still(1).clone()
    rotations[:, 0] = turn
    rest, moved = (flame.vertices(torch.zeros(1, 0), torch.zeros(1, 0), r)[0] for r in (still(1), rotations))
    joint = flame.regressor[0] @ rest
    torch.testing.assert_close(moved, (rest - joint) @ turn[0].T + joint, atol=1e-6, rtol=1e-5)


def test_a_batch_is_its_samples_one_by_one(flame):
    identity, expression, pose = torch.randn(3, 100), torch.randn(3, 50), 0.5 * torch.randn(3, 6)
    together = flame.vertices(identity, expression, flame.rotations(pose))
    for i in range(3):
        alone = flame.vertices(identity[i : i + 1], expression[i : i + 1], flame.rotations(pose[i : i + 1]))
        torch.testing.assert_close(together[i], alone[0])


def test_moving_to_a_device_moves_every_table(flame):
    moved = flame.to("meta")
    assert moved.template.is_meta and moved.contour.weights.is_meta and moved.full.faces.is_meta
    assert not flame.template.is_meta and moved.parents == flame.parents
