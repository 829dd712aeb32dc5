"""The deterministic weights and inputs of the golden numbers, as their README defines them.

Nothing here knows a particular seed or value: the seed comes from each file, keys and shapes too.
"""

from __future__ import annotations

import math
import os
import re
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch

_MAPPING = re.compile(r"(style\.\d+|mapping\.fc\d+)\.")
_CONSTANTS = ("num_batches_tracked", "kernel", "resample_filter")


def _source(name: str, seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()) + seed))


def normal(name: str, shape: Sequence[int], seed: int) -> np.ndarray:
    """Standard normal float32 numbers of a name."""
    return np.asarray(_source(name, seed).standard_normal(tuple(shape), dtype=np.float32))


def uniform(name: str, shape: Sequence[int], seed: int) -> np.ndarray:
    """Uniform float64 numbers in [0, 1) of a name."""
    return _source(name, seed).random(tuple(shape))


def integers(name: str, low: int, high: int, shape: Sequence[int], seed: int) -> np.ndarray:
    """Integers low … high − 1 of a name."""
    return _source(name, seed).integers(low, high, size=tuple(shape), dtype=np.int64)


def filled(key: str, shape: Sequence[int], seed: int, keys: set[str], raw: bool) -> np.ndarray | None:
    """The weights of one state-dict entry; None where the constructor's value stays (README, section 1)."""
    f = np.float32
    if key.endswith(_CONSTANTS):
        return None
    x = normal(key, shape, seed)
    is_normalised = key[:-6] + "running_mean" in keys
    rules: tuple[tuple[bool, float, float], ...] = (
        (key.endswith("running_mean"), 0.1, 0.0),
        (key.startswith("noises.") or key.endswith("noise_const"), 1.0, 0.0),
        (key.endswith(("noise.weight", "noise_strength")), 0.1, 0.0),
        (key.endswith("w_avg"), 0.3, 0.0),
        (bool(_MAPPING.match(key)), 100.0 if key.endswith("weight") else 10.0, 0.0),
        (key.endswith(("modulation.bias", "affine.bias")), 0.1, 1.0),
        (key.endswith("bias"), 0.1, 0.0),
        (key == "input.input" or key.endswith(".const"), 1.0, 0.0),
        (len(shape) == 1, 0.1 if is_normalised else 0.05, 1.0 if is_normalised else 0.25),
    )
    if key.endswith("running_var"):
        return f(0.5) + np.abs(x)
    for applies, scale, shift in rules:
        if applies:
            return f(shift) + f(scale) * x if shift else f(scale) * x
    return x if raw else x * f(1 / math.sqrt(np.prod(shape[1:])))


def state_dict(
    numbers: Mapping[str, np.ndarray], raw: bool, part: str = "in_", raw_keys: str = r"$^"
) -> dict[str, torch.Tensor]:
    """The filled tensors of a golden file, checked against the stored mean absolute values.

    Args:
        numbers: an opened golden file.
        raw: whether weights are stored raw (both StyleGAN2 families) or divided by √fan_in.
        part: what stands before `keys`, `shapes` and `absmean`: "in_", "in_D_", "in_mask_", …
        raw_keys: pattern of keys that count as raw all the same.
    """
    seed = int(numbers["seed"])
    names = [str(key) for key in numbers[f"{part}keys"]]
    shapes = [tuple(int(n) for n in str(shape).split(",") if n) for shape in numbers[f"{part}shapes"]]
    tensors = {}
    for key, shape, mean in zip(names, shapes, numbers[f"{part}absmean"], strict=True):
        value = filled(key, shape, seed, set(names), raw or bool(re.fullmatch(raw_keys, key)))
        if value is None:
            continue
        assert math.isclose(float(np.abs(value.astype(np.float64)).mean()), float(mean), rel_tol=1e-5), key
        tensors[key] = torch.from_numpy(np.ascontiguousarray(value)).reshape(shape)
    return tensors


def picture(number: int, height: int, width: int, seed: int) -> np.ndarray:
    """Test image `number` as float64 (H, W, 3) in [−1, 1] (README, section 2)."""
    s, t = number + 10 * seed, 2 * math.pi
    u, v = np.meshgrid(np.arange(width) / (width - 1), np.arange(height) / (height - 1))
    channels = [
        (
            np.sin(t * (1.3 * u + 0.7 * v) + 0.9 * s + 2.1 * c)
            + 0.6 * np.sin(t * (3.1 * u - 2.3 * v) + 1.7 * s + 1.3 * c)
            + 0.4 * np.sin(t * (7.7 * u * v + 5.9 * v) - 0.4 * s + 0.5 * c)
            + 0.25 * np.sin(t * (19 * u + 17 * v) + 0.3 * s + c)
        )
        / 2.25
        for c in range(3)
    ]
    return np.stack(channels, 2)


def picture_tensor(number: int, height: int, width: int, seed: int) -> torch.Tensor:
    """The same as float32 (1, 3, H, W)."""
    return torch.from_numpy(picture(number, height, width, seed).astype(np.float32)).permute(2, 0, 1)[None].contiguous()


def picture_bytes(number: int, height: int, width: int, seed: int) -> np.ndarray:
    """The same as uint8 (H, W, 3)."""
    return np.clip(np.rint((picture(number, height, width, seed) + 1) * 127.5), 0, 255).astype(np.uint8)


WORST: dict[str, float] = {}
"""Largest relative error so far by test file; shown at the end of `pytest -m parity -v`."""


def relative_error(value: torch.Tensor | np.ndarray, expected: np.ndarray) -> float:
    """max |a − b| / max |b|."""
    a, b = np.asarray(value, np.float64), np.asarray(expected, np.float64)
    assert a.shape == b.shape, (a.shape, b.shape)
    error = float(np.abs(a - b).max() / np.abs(b).max())
    place = os.environ.get("PYTEST_CURRENT_TEST", "").partition("::")[0]
    WORST[place] = max(WORST.get(place, 0.0), error)
    return error
