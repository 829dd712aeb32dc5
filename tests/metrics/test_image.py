import math

import numpy as np
import pytest
import torch

from mien.errors import InputError
from mien.metrics import ImageQuality, l1, ms_ssim, psnr, ssim


def _flat(*values, size=12):
    """Images in [-1, 1] of constant brightness, given on the scale 0..1."""
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 3, size, size) * 2 - 1


def test_l1_and_psnr_of_flat_images():
    black, grey = _flat(0.0, 0.0), _flat(0.1, 1.0)
    assert l1(black, grey).tolist() == pytest.approx([0.1, 1.0], rel=1e-6)
    assert psnr(black, grey).tolist() == pytest.approx([20, 0], abs=1e-5)
    assert math.isinf(psnr(black, black)[0])


def test_ssim_of_flat_images_is_the_light_term():
    expected = (2 * 0.2 * 0.8 + 1e-4) / (0.2**2 + 0.8**2 + 1e-4)
    assert ssim(_flat(0.2), _flat(0.8)).item() == pytest.approx(expected, rel=1e-5)
    assert ssim(_flat(0.4), _flat(0.4)).item() == pytest.approx(1)


def test_ssim_equals_the_formula_written_out_at_one_window(rng):
    a, b = rng.random((2, 11, 11))
    offsets = np.arange(11) - 5
    weights = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
    var_a, var_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
    cov = (weights * (a - mean_a) * (b - mean_b)).sum()
    expected = (2 * mean_a * mean_b + 1e-4) * (2 * cov + 9e-4)
    expected /= (mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4)
    images = torch.from_numpy(np.stack([a, b]))[:, None, None] * 2 - 1
    assert ssim(images[0], images[1]).item() == pytest.approx(expected)


def test_quality_weighs_images_not_batches():
    metric = ImageQuality()
    metric.update(_flat(0.0, 0.0), _flat(0.1, 0.1))
    metric.update(_flat(0.0), _flat(1.0))
    metric.update(_flat(0.5), _flat(0.0), torch.tensor([False]))
    result = metric.result()
    assert result["count"] == 3
    assert result["l1"] == pytest.approx(0.4)
    assert result["psnr"] == pytest.approx(40 / 3, rel=1e-5)


def test_equal_images_do_not_make_the_mean_infinite():
    metric = ImageQuality()
    metric.update(_flat(0.3), _flat(0.3))
    assert metric.result()["psnr"] == 100


def test_refusals():
    with pytest.raises(InputError):
        ssim(_flat(0.1, size=8), _flat(0.1, size=8))
    with pytest.raises(InputError):
        l1(_flat(0.1), _flat(0.1, 0.2))


def _pattern(shift: float) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(192.0), torch.arange(192.0), indexing="ij")
    waves = [torch.sin(x / (7 + c) + shift) * torch.cos(y / (11 - c) - shift * c) for c in range(3)]
    return torch.stack(waves)[None] * 0.9


def test_similarities_equal_those_of_other_libraries():
    """SSIM of scikit-image 0.26 (Gaussian weights, whole windows), MS-SSIM of pytorch-msssim 1.0 on the same waves."""
    first, second = _pattern(0.0), _pattern(0.4) * 0.5 + 0.35
    assert ssim(first, second).item() == pytest.approx(0.6196076909167518, abs=1e-6)
    assert ms_ssim(first, second).item() == pytest.approx(0.6466918180, abs=1e-6)


def test_ms_ssim_is_one_for_equal_images_and_needs_five_scales():
    both = torch.cat([_pattern(0.0), _pattern(1.0)])
    assert ms_ssim(both, both).tolist() == pytest.approx([1, 1])
    assert ms_ssim(both[:1], -both[:1]).item() == 0
    with pytest.raises(InputError, match="176"):
        ms_ssim(both[..., :175, :175], both[..., :175, :175])
