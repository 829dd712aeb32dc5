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


def layer_inputs(batch: int, side: int, noise: str) -> list[torch.Tensor | None]:
    """x, weight, style, noise and bias of a layer with 5 channels in and 7 out, in double precision."""
    source = torch.Generator().manual_seed(batch + side)
    noise_batch = {"shared": 1, "own": batch, "none": 0}[noise]
    shapes = [(batch, 5, side, side), (7, 5, 3, 3), (batch, 5), (noise_batch, 1, 1, 1), (7,)]
    made = [torch.randn(shape, generator=source, dtype=torch.float64) for shape in shapes]
    return [*made[:3], made[3] if noise_batch else None, made[4]]


@pytest.mark.parametrize("up", [None, "published", "coarse"])
@pytest.mark.parametrize("noise", ["shared", "own", "none"])
@pytest.mark.parametrize(("batch", "side"), [(1, 12), (1, 3), (3, 8)])
def test_fast_layer_equals_reference(up, noise, batch, side):
    """One large sample (weights of its own), one small sample, and a batch: values and all gradients."""
    results = []
    for layer in (ops.styled_conv, ops.styled_conv_reference):
        inputs = layer_inputs(batch, side, noise)
        leaves = [value.requires_grad_(True) for value in inputs if value is not None]
        out = layer(*inputs, up)  # type: ignore[arg-type]
        out.square().sum().backward()
        results.append([out.detach(), *(leaf.grad for leaf in leaves)])
    assert results[0][0].shape == (batch, 7, *((2 * side, 2 * side) if up else (side, side)))
    for fast, reference in zip(*results, strict=True):
        torch.testing.assert_close(fast, reference, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("up", [None, "published", "coarse"])
@pytest.mark.parametrize(("batch", "side"), [(1, 12), (3, 8)])
def test_prepared_weights_and_no_gradients_change_nothing(up, batch, side):
    x, weight, style, noise, bias = layer_inputs(batch, side, "shared")
    before = [value.clone() for value in (x, weight, style, noise, bias)]
    expected = ops.styled_conv_reference(x, weight, style, noise, bias, up)
    with torch.no_grad():
        prepared = ops.prepare(weight, up, torch.float64)
        actual = ops.styled_conv(x, prepared, style, noise, bias, up)
    torch.testing.assert_close(actual, expected, rtol=1e-7, atol=1e-7)
    assert all(torch.equal(a, b) for a, b in zip(before, (x, weight, style, noise, bias), strict=True))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_fast_rgb_equals_reference(memory_format):
    x, weight, style, bias = torch.randn(3, 5, 8, 8), torch.randn(3, 5, 1, 1), torch.randn(3, 5), torch.randn(3)
    x, weight, style, bias = (value.double() for value in (x, weight, style, bias))
    x = x.contiguous(memory_format=memory_format)
    expected = ops.modulated_conv_reference(x, weight, style, False) + bias[:, None, None]
    torch.testing.assert_close(ops.modulated_rgb(x, weight, style, bias), expected)


@pytest.mark.parametrize("layer", [ops.styled_conv, ops.styled_conv_reference])
@pytest.mark.parametrize(("batch", "side"), [(1, 6), (2, 3)])
def test_layer_gradients(layer, batch, side):
    shapes = [(batch, 2, side, side), (2, 2, 3, 3), (batch, 2), (side * 2, side * 2), (2,)]
    arguments = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(lambda *a: layer(*a, "published"), arguments, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda *a: layer(*a, "published"), arguments, fast_mode=True)


def test_demodulation_gives_unit_variance():
    x, weight, style = torch.randn(4, 64, 16, 16), torch.randn(32, 64, 3, 3), torch.rand(4, 64) + 0.5
    out = ops.modulated_conv_reference(x, weight, style, True)[..., 1:-1, 1:-1]
    assert 0.9 < float(out.std()) < 1.1
