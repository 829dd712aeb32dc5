"""Losses on cases with known answers."""

import math

import golden_rule
import pytest
import torch

from mien.losses.adversarial import fool, judge, path_length, prefer, r1_penalty
from mien.losses.face import EYE_PAIRS, MOUTH_PAIRS, identity_loss, pair_loss, shape_loss
from mien.losses.image import feature_l1, pyramid_l1, weighted_l1
from mien.losses.latent import code_distance, offset_energy, sliced_wasserstein, transport_distance


def test_adversarial_at_zero_logits():
    zero = torch.zeros(4, 1)
    torch.testing.assert_close(fool(zero), torch.full((4,), math.log(2)))
    assert float(judge(zero, zero)) == pytest.approx(2 * math.log(2))
    assert float(judge(torch.full((2, 1), 9.0), torch.full((2, 1), -9.0))) < 1e-3


def test_preference_depends_on_the_difference_of_a_pair_alone():
    better, worse = torch.tensor([[1.0], [7.0]]), torch.tensor([[3.0], [7.0]])
    torch.testing.assert_close(prefer(better, worse), torch.tensor([math.log(1 + math.e**2), math.log(2)]))
    torch.testing.assert_close(prefer(better + 40, worse + 40), prefer(better, worse))


def test_r1_of_a_linear_critic_is_its_squared_weight():
    weight = torch.randn(3, 4, 4)
    penalty = r1_penalty(lambda x: (x * weight).sum((1, 2, 3), keepdim=True).flatten(1), torch.randn(5, 3, 4, 4))
    torch.testing.assert_close(penalty, weight.square().sum().expand(5))


def test_path_length_of_a_scaling_map_grows_with_its_scale():
    draws = torch.Generator()
    lengths = []
    for scale in (1.0, 3.0):
        wp = torch.ones(2, 1, 48, requires_grad=True)
        image = (wp * scale).reshape(2, 3, 4, 4)
        lengths.append(path_length(image, wp, draws.manual_seed(0)))
    torch.testing.assert_close(lengths[1], 3 * lengths[0])


def test_image_losses_are_per_sample_and_zero_at_equality():
    a, b = torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 8, 8)
    b[1] = 0.5
    weight = torch.ones(2, 1, 8, 8)
    assert weighted_l1(a, b).tolist() == pytest.approx([0, 0.5])
    assert pyramid_l1(a, b, weight).tolist() == pytest.approx([0, 1.5])
    assert pyramid_l1(a, b, weight, finest=0.2).tolist() == pytest.approx([0, 1.1])
    weight[:, :, :, 4:] = 0
    b[1, ..., :4] = 0
    assert weighted_l1(a, b, weight).tolist() == [0, 0]


def test_feature_distance_is_relative():
    truth = [torch.ones(2, 4, 3, 3) * 10]
    assert feature_l1([truth[0] * 1.1], truth).tolist() == pytest.approx([0.1, 0.1], rel=1e-3)


def test_face_losses():
    assert len(EYE_PAIRS) == 6 and len(MOUTH_PAIRS) == 10
    points = torch.randn(2, 68, 2)
    opened = points.clone()
    opened[1, 66, 1] += 8
    before = (points[1, 62, 1] - points[1, 66, 1]).abs()
    after = (opened[1, 62, 1] - opened[1, 66, 1]).abs()
    expected = float((after - before).abs()) / (2 * len(MOUTH_PAIRS))
    assert pair_loss(opened, points, MOUTH_PAIRS).tolist() == pytest.approx([0, expected], abs=1e-5)
    assert shape_loss(torch.ones(1, 5, 3), torch.zeros(1, 5, 3)).tolist() == [1]
    unit = torch.eye(2)
    assert identity_loss(unit, unit.flip(0)).tolist() == [1, 1]


@pytest.mark.parity
def test_published_geometry_losses(golden):
    numbers = golden("losses")
    sides = {
        what: [torch.from_numpy(numbers[f"in_{what}_{side}"]) for side in ("re", "gt")]
        for what in ("vertices", "landmarks")
    }
    values = {
        "shape": [shape_loss(*pair).mean() for pair in zip(*sides["vertices"], strict=True)],
        "eye": [pair_loss(*pair, EYE_PAIRS).mean() for pair in zip(*sides["landmarks"], strict=True)],
        "mouth": [pair_loss(*pair, MOUTH_PAIRS).mean() for pair in zip(*sides["landmarks"], strict=True)],
    }
    for name, found in values.items():
        assert golden_rule.relative_error(torch.stack(found), numbers[f"out_{name}_loss"]) < 1e-5, name


def test_latent_losses():
    assert offset_energy(torch.full((2, 3, 4), 2.0)).tolist() == [4, 4]
    assert code_distance(torch.ones(1, 2, 3), torch.zeros(1, 2, 3)).tolist() == [1]


def test_sliced_wasserstein_measures_a_shift_and_ignores_order():
    points = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
    directions = torch.eye(5)
    shuffled = points[torch.randperm(64, generator=torch.Generator().manual_seed(1))]
    assert float(sliced_wasserstein(points, shuffled, directions)) == 0
    shift = torch.tensor([1.0, 0.0, 0.0, 0.0, 2.0])
    assert float(sliced_wasserstein(points + shift, points, directions)) == pytest.approx(5 / 5, rel=1e-4)


def test_transport_assigns_one_to_one_and_moves_all_least():
    codes = torch.tensor([[0.0, 0.0, 0.0, 0.0], [10.0, 0.0, 0.0, 0.0]], requires_grad=True)
    truth = torch.tensor([[12.0, 0.0, 0.0, 0.0], [4.0, 0.0, 0.0, 0.0]])
    distance = transport_distance(codes, truth)
    distance.backward()
    assert distance.item() == pytest.approx((4 + 2) / 2 / 2)
    assert codes.grad[:, 0].tolist() == pytest.approx([-0.25, -0.25]), "the far one takes the near point, and both move"
    both_near = torch.tensor([[0.0] * 4, [1.0] + [0.0] * 3])
    assert transport_distance(both_near, torch.tensor([[0.0] * 4, [100.0] + [0.0] * 3])).item() == pytest.approx(24.75)
