"""Both head models answer the same questions of the training losses."""

from dataclasses import replace

import flame_rule
import pytest
import torch

from mien.checkpoints.flame import convert
from mien.face3d import ARKIT_NAMES, DECA_NAMES, FaceParams, ShapeModel, load_ict
from mien.face3d.flame import project
from mien.geometry import axis_angle_from_rotation, rotation_from_angles
from mien.losses.face import geometry_losses

ANGLES = torch.tensor([[0.3, -0.2, 0.1], [-0.5, 0.1, 0.0]])


@pytest.fixture(scope="module")
def flame():
    return convert(flame_rule.model_tree(0), flame_rule.landmark_tree(0))


@pytest.fixture(params=["flame", "ict"])
def head(request, flame) -> ShapeModel:
    if request.param == "flame":
        return flame
    return load_ict(request.getfixturevalue("data_pack") / "head" / "ict_facekit.npz")


def test_losses_of_any_head_see_shape_pose_and_mouth(head):
    truth = FaceParams.invalid(2, head.model)
    identity = torch.zeros(2, 3)
    jaw = ARKIT_NAMES.index("jawOpen") if head.model == "arkit" else DECA_NAMES.index("jaw_open")
    expression, angles = truth.expression.clone(), ANGLES.clone().requires_grad_(True)
    expression[:, jaw] = 0.4
    expression.requires_grad_(True)
    posed = head.posed(identity, expression, angles)
    assert posed.landmarks.shape == (2, 68, 3)
    losses = geometry_losses(posed, head.posed(identity, truth.expression, truth.angles))
    assert set(losses) == {"shape", "eye", "mouth"}
    assert all(value.shape == (2,) and bool((value > 0).all()) for value in losses.values())
    torch.stack(list(losses.values())).sum().backward()
    for gradient in (angles.grad, expression.grad):
        assert gradient is not None and torch.isfinite(gradient).all() and gradient.any()
    same = geometry_losses(posed, posed)
    assert not torch.stack(list(same.values())).any()


def test_identity_moves_the_surface(head):
    params = FaceParams.invalid(1, head.model)
    mean, other = (head.posed(i, params.expression, params.angles) for i in (torch.zeros(1, 0), torch.ones(1, 2)))
    assert not torch.equal(mean.vertices, other.vertices)


def test_flame_reads_face_parameters_as_its_own_pose(flame):
    """House angles and the jaw give what axis-angles and DECA's fixed camera give."""
    params = replace(FaceParams.invalid(2, "deca"), angles=ANGLES, expression=torch.randn(2, 51) * 0.3)
    identity = torch.randn(2, 100)
    pose = torch.zeros(2, 6)
    pose[:, :3], pose[:, 3] = axis_angle_from_rotation(rotation_from_angles(ANGLES)), params.expression[:, 0]
    rotations = flame.rotations(pose)
    vertices = flame.vertices(identity, params.expression[:, 1:], rotations)
    camera = torch.tensor([[8.0, 0.0, 0.0]])
    posed = flame.posed(identity, params.expression, params.angles)
    torch.testing.assert_close(posed.vertices, project(vertices, camera), atol=1e-3, rtol=1e-5)
    landmarks = flame.landmarks_seen(vertices, rotations)
    torch.testing.assert_close(posed.landmarks, project(landmarks, camera), atol=1e-3, rtol=1e-5)


def test_a_real_head_has_the_published_size(data_pack):
    """896 px per metre: outer eye corners of the mean ICT head, 8.92 cm apart, are 80 px apart."""
    blank = FaceParams.invalid(1)
    points = load_ict(data_pack / "head" / "ict_facekit.npz").posed(torch.zeros(1, 0), blank.expression, blank.angles)
    eyes = points.landmarks[0, 45] - points.landmarks[0, 36]
    assert float(eyes[0]) == pytest.approx(0.0892 * 896, abs=0.5)
    assert float(points.landmarks[0, 8, 1]) > float(points.landmarks[0, 27, 1]), "y points down: the chin is below"
