import math

import numpy as np
import pytest
import torch

from mien.errors import InputError
from mien.metrics import AngleError, Correlation, ExpressionError, LandmarkError, angle_difference_deg


def test_angle_difference_goes_the_short_way_round():
    a = torch.deg2rad(torch.tensor([179.0, 10.0, 0.0], dtype=torch.float64))
    b = torch.deg2rad(torch.tensor([-179.0, -20.0, 360.0], dtype=torch.float64))
    assert angle_difference_deg(a, b).tolist() == pytest.approx([2, 30, 0], abs=1e-9)


def test_angle_error_is_exact_with_a_partial_last_batch():
    metric = AngleError()
    metric.update(torch.deg2rad(torch.tensor([[1.0, 2.0, 3.0], [3.0, 0.0, 0.0]])), torch.zeros(2, 3))
    metric.update(torch.full((1, 3), math.radians(-5)), torch.zeros(1, 3))
    assert metric.result().mean.tolist() == pytest.approx([3, 7 / 3, 8 / 3], rel=1e-6)


def test_expression_error_is_a_share_of_each_range():
    metric = ExpressionError(torch.tensor([[0.0, 1.0], [-6.0, 6.0]]))
    metric.update(
        torch.tensor([[0.5, 3.0], [9.0, 9.0]]), torch.tensor([[0.25, -3.0], [0.0, 0.0]]), torch.tensor([True, False])
    )
    metric.update(torch.tensor([[0.75, 0.0]]), torch.zeros(1, 2))
    assert metric.result().mean.tolist() == pytest.approx([0.5, 0.25])


def test_landmark_error_is_relative_to_the_outer_eye_corners():
    target = torch.zeros(2, 68, 2)
    target[:, 45, 0] = 50.0
    result = target.clone()
    result[0] += torch.tensor([3.0, 4.0])
    metric = LandmarkError()
    metric.update(result, target)
    assert metric.result().mean.item() == pytest.approx((5 / 50 + 0) / 2)


def test_correlation_known_answers_and_still_columns():
    x = torch.tensor([[1.0, 1.0, 1.0, 7.0], [2.0, 2.0, 2.0, 7.0], [3.0, 3.0, 3.0, 7.0]])
    y = torch.tensor([[2.0, -1.0, 1.0, 1.0], [4.0, -2.0, 3.0, 2.0], [6.0, -3.0, 1.0, 3.0]])
    metric = Correlation()
    metric.update(x[:2], y[:2])
    metric.update(x[2:], y[2:])
    r = metric.result().tolist()
    assert r[:3] == pytest.approx([1, -1, 0], abs=1e-12)
    assert math.isnan(r[3])
    assert metric.spread()[0].tolist() == pytest.approx([(2 / 3) ** 0.5] * 3 + [0])


def test_correlation_equals_numpy_on_a_stream(rng):
    x = rng.normal(size=(17, 2)) + 1000
    y = 0.5 * x + rng.normal(size=(17, 2))
    metric = Correlation()
    for a, b in zip(torch.from_numpy(x).split(5), torch.from_numpy(y).split(5)):
        metric.update(a, b)
    metric.update(torch.full((1, 2), torch.nan), torch.zeros(1, 2), torch.tensor([False]))
    np.testing.assert_allclose(metric.result(), [np.corrcoef(x[:, i], y[:, i])[0, 1] for i in range(2)], rtol=1e-9)


def test_refusals():
    with pytest.raises(InputError):
        ExpressionError(torch.tensor([[1.0, 1.0]]))
    with pytest.raises(InputError):
        AngleError().update(torch.zeros(1, 3), torch.zeros(2, 3))
    with pytest.raises(InputError):
        LandmarkError().update(torch.zeros(1, 68, 2), torch.zeros(1, 68, 2))
    with pytest.raises(InputError):
        Correlation().result()


@pytest.mark.parity
@pytest.mark.parametrize(("space", "columns"), [("FFHQ", 20), ("vox", 11)])
def test_published_evaluation_errors(golden, space, columns):
    numbers = golden("losses")
    result, target = (torch.from_numpy(numbers[f"in_metric_{space}_{which}"]) for which in ("reenacted", "target"))
    ranges = torch.from_numpy(numbers[f"in_ranges_{'voxceleb' if space == 'vox' else space}"])[3 : 4 + columns]
    for i in range(len(result)):
        pose, expression = AngleError(), ExpressionError(ranges)
        pose.update(result[i : i + 1, :3].deg2rad(), target[i : i + 1, :3].deg2rad())
        expression.update(result[i : i + 1, 3 : 4 + columns], target[i : i + 1, 3 : 4 + columns])
        assert pose.result().mean.mean().item() == pytest.approx(numbers[f"out_metric_{space}_pose"][i], rel=1e-5)
        assert expression.result().mean.mean().item() == pytest.approx(numbers[f"out_metric_{space}_exp"][i], rel=1e-5)
