import pytest
import torch

from mien.errors import InputError
from mien.metrics import IdentityCosine, cosine, verification


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


def test_verification_of_a_hand_made_set():
    # persons 0, 0, 1, 1 at 0, 10, 60 and 200 degrees: same pairs 10 and 140 apart, others 60, 50, 160, 170
    degrees = torch.tensor([0.0, 10.0, 60.0, 200.0])
    embeddings = torch.stack([torch.cos(torch.deg2rad(degrees)), torch.sin(torch.deg2rad(degrees))], 1)
    result = verification(3 * embeddings, torch.tensor([0, 0, 1, 1]))
    assert result["auc"] == pytest.approx((4 + 2) / 8)  # 10 beats all four, 140 beats two
    assert result["rank1"] == pytest.approx(3 / 4)  # 60's nearest is 10; 200's nearest is 60
    cosines = torch.cos(torch.deg2rad(torch.tensor([10.0, 140.0])))
    assert result["same"] == pytest.approx(float(cosines.mean()), abs=1e-6)
    assert verification(torch.ones(3, 2), torch.tensor([0, 0, 1]))["auc"] == pytest.approx(0.5), "ties count half"
    with pytest.raises(InputError):
        verification(embeddings, torch.arange(4))
