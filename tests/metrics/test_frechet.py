import numpy as np
import pytest
import scipy.linalg
import torch

from mien.errors import InputError
from mien.metrics import Gaussian, GaussianStream, frechet_distance


def _gaussian(mean, covariance):
    return Gaussian(count=9, mean=torch.tensor(mean).double(), covariance=torch.tensor(covariance).double())


def test_known_answers():
    plain = _gaussian([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
    assert frechet_distance(plain, plain) == pytest.approx(0, abs=1e-12)
    assert frechet_distance(plain, _gaussian([3.0, 4.0], [[1.0, 0.0], [0.0, 1.0]])) == pytest.approx(25)
    # commuting covariances: sum of squared differences of the standard deviations, (1-2)² + (1-3)²
    assert frechet_distance(plain, _gaussian([0.0, 0.0], [[4.0, 0.0], [0.0, 9.0]])) == pytest.approx(5)


def test_covariances_that_do_not_commute_agree_with_the_matrix_square_root(rng):
    a, b = (x @ x.T for x in rng.normal(size=(2, 5, 5)))
    expected = np.trace(a + b - 2 * scipy.linalg.sqrtm(a @ b).real)
    assert frechet_distance(_gaussian([0.0] * 5, a), _gaussian([0.0] * 5, b)) == pytest.approx(expected)


def test_singular_covariance_stays_real():
    flat = _gaussian([0.0, 0.0], [[1.0, 1.0], [1.0, 1.0]])
    assert frechet_distance(flat, flat) == pytest.approx(0, abs=1e-7)


def test_stream_equals_numpy_with_a_partial_last_batch(rng):
    features = rng.normal(loc=100, size=(23, 4))
    stream = GaussianStream()
    for batch in torch.from_numpy(features).float().split(8):
        stream.update(batch)
    result = stream.result()
    assert result.count == 23
    np.testing.assert_allclose(result.mean, features.mean(0), rtol=1e-6)
    np.testing.assert_allclose(result.covariance, np.cov(features.T), rtol=1e-4, atol=1e-5)


def test_refusals():
    stream = GaussianStream()
    stream.update(torch.ones(1, 2))
    with pytest.raises(InputError):
        stream.result()
    with pytest.raises(InputError):
        stream.update(torch.ones(1, 3))
    with pytest.raises(InputError):
        stream.update(torch.full((1, 2), float("nan")))
    with pytest.raises(InputError):
        frechet_distance(_gaussian([0.0], [[1.0]]), _gaussian([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]]))
