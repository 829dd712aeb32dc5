"""The fast operations equal their definitions, forwards and backwards."""

import pytest
import torch
from torch.nn import functional as F

from mien.stylegan2 import ops


def filter_by_definition(x: torch.Tensor, gain: float, up: int, down: int, pad: tuple[int, int]) -> torch.Tensor:
    """Zero insertion, padding, [1, 3, 3, 1] filter and decimation, one step after the other."""
    batch, channels, height, width = x.shape
    wide = x.new_zeros(batch, channels, height * up, width * up)
    wide[..., ::up, ::up] = x
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype)
    kernel = torch.outer(taps, taps) / 64 * gain
    wide = F.pad(wide, [pad[0], pad[1], pad[0], pad[1]])
    out = F.conv2d(wide.flatten(0, 1)[:, None], kernel[None, None])
    return out.unflatten(0, (batch, channels))[:, :, 0, ::down, ::down]


@pytest.mark.parametrize(
    ("operation", "gain", "up", "down", "pad"),
    [
        (ops.upsample, 4.0, 2, 1, (2, 1)),
        (ops.downsample, 1.0, 1, 2, (1, 1)),
        (lambda x: ops.blur(x, 2), 1.0, 1, 1, (2, 2)),
        (lambda x: ops.blur(x, 1), 1.0, 1, 1, (1, 1)),
    ],
)
def test_filters_equal_definition(operation, gain, up, down, pad):
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(operation(x), filter_by_definition(x, gain, up, down, pad))


@pytest.mark.parametrize("up", [None, "published", "coarse"])
@pytest.mark.parametrize("demodulate", [True, False])
def test_fast_modulation_equals_reference(up, demodulate):
    x, weight, style = torch.randn(3, 5, 8, 8), torch.randn(7, 5, 3, 3), torch.randn(3, 5)
    expected = ops.modulated_conv_reference(x, weight, style, demodulate, up)
    actual = ops.modulated_conv(x, weight, style, demodulate, up)
    assert actual.shape == (3, 7, *((16, 16) if up else (8, 8)))
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


def test_modulated_conv_gradients():
    arguments = [torch.randn(2, 3, 4, 4), torch.randn(2, 3, 3, 3), torch.randn(2, 3)]
    arguments = [a.double().requires_grad_(True) for a in arguments]

    def fast(x, weight, style):
        return ops.modulated_conv_reference(x, weight, style, True, "published")

    assert torch.autograd.gradcheck(fast, arguments, fast_mode=True)


def test_demodulation_gives_unit_variance():
    x, weight, style = torch.randn(4, 64, 16, 16), torch.randn(32, 64, 3, 3), torch.rand(4, 64) + 0.5
    out = ops.modulated_conv(x, weight, style, True)[..., 1:-1, 1:-1]
    assert 0.9 < float(out.std()) < 1.1
