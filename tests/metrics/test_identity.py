import pytest
import torch

from mien.errors import InputError
from mien.metrics import IdentityCosine, cosine


def test_known_cosines_whatever_the_length():
    first = torch.tensor([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [1.0, 0.0]])
    second = torch.tensor([[5.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [1.0, 1.0]])
    assert cosine(first, second).tolist() == pytest.approx([1, 0, -1, 0.5**0.5])


def test_mean_over_unequal_batches_without_invalid_pairs():
    metric = IdentityCosine()
    one = torch.tensor([[1.0, 0.0]])
    metric.update(
        one.expand(3, 2), torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), torch.tensor([True, True, False])
    )
    metric.update(one, -one)
    result = metric.result()
    assert (result.count, result.mean.item(), result.low.item()) == (3, 0.0, -1.0)


def test_refusals():
    with pytest.raises(InputError):
        cosine(torch.zeros(1, 2), torch.ones(1, 2))
    with pytest.raises(InputError):
        cosine(torch.ones(2, 2), torch.ones(1, 2))
