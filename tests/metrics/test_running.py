import pytest
import torch

from mien.errors import InputError
from mien.metrics import RunningMean


def test_partial_last_batch_weighs_samples_not_batches():
    stream = RunningMean()
    for batch in ([1.0, 2.0, 3.0], [10.0]):
        stream.update(torch.tensor(batch))
    result = stream.result()
    assert result.count == 4
    assert result.mean.item() == 4.0  # the mean of the batch means would be 6
    assert result.std.item() == pytest.approx(12.5**0.5)  # deviations 3, 2, 1, 6
    assert (result.low.item(), result.high.item()) == (1.0, 10.0)


def test_spread_survives_a_large_offset():
    stream = RunningMean()
    for value in (1e9 + 1, 1e9 + 2, 1e9 + 3):
        stream.update(torch.tensor([value], dtype=torch.float64))
    assert stream.result().std.item() == pytest.approx((2 / 3) ** 0.5, rel=1e-6)


def test_invalid_samples_are_left_out_even_when_not_finite():
    stream = RunningMean()
    stream.update(torch.tensor([[1.0, 5.0], [float("nan"), 0.0]]), valid=torch.tensor([True, False]))
    assert stream.result().mean.tolist() == [1.0, 5.0]


def test_refusals():
    stream = RunningMean()
    with pytest.raises(InputError):
        stream.result()
    stream.update(torch.zeros(0, 2))
    with pytest.raises(InputError):
        stream.result()
    with pytest.raises(InputError):
        stream.update(torch.tensor([float("inf")]))
    with pytest.raises(InputError):
        stream.update(torch.zeros(3), valid=torch.ones(2, dtype=torch.bool))
    stream.update(torch.zeros(1, 2))
    with pytest.raises(InputError):
        stream.update(torch.zeros(1, 3))
