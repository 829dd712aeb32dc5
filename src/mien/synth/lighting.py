"""Light on a photographed face as second-order spherical harmonics of the surface normal (Ramamoorthi, Hanrahan 2001).

Colours are linear here: display value to the power of 2.2. Normals are in camera axes.
"""

from __future__ import annotations

import numpy as np

GAMMA = 2.2
LIGHT_RANGE = (0.6, 1.55)
"""Light relative to the face's mean: what lies outside is paint, not light."""
_RIDGE = 0.06
_ROUNDS = 6


def to_linear(display: np.ndarray) -> np.ndarray:
    """Linear radiance of display values in 0..1."""
    return np.power(np.clip(display, 0, 1), GAMMA)


def to_display(linear: np.ndarray) -> np.ndarray:
    """Display values in 0..1 of linear radiance."""
    return np.power(np.clip(linear, 0, 1), 1 / GAMMA)


def harmonics(normals: np.ndarray) -> np.ndarray:
    """The nine basis functions 1, x, y, z, xy, yz, 3z² − 1, xz, x² − y² of unit normals (..., 3): (..., 9)."""
    x, y, z = np.moveaxis(normals, -1, 0)
    return np.stack([np.ones_like(x), x, y, z, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y], -1)


def fit_light(luminance: np.ndarray, normals: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The light that explains how the luminance of one material varies with the normal.

    Robust: places far darker or brighter than their surroundings explain (brows, beard, shine) lose their weight.

    Args:
        luminance: (N,) linear.
        normals: (N, 3) unit, camera axes.
        weights: (N,) 0..1.

    Returns:
        (9,) coefficients; the mean of the light over the given places is one.
    """
    basis = harmonics(normals)
    values = luminance / np.median(luminance[weights > 0.5 * weights.max()])
    trust = weights.astype(np.float64)
    ridge = np.diag(np.r_[0.0, np.ones(8)])
    light = np.r_[1.0, np.zeros(8)]
    for _ in range(_ROUNDS):
        total = trust.sum()
        system = (basis * trust[:, None]).T @ basis / total + _RIDGE * ridge
        light = np.linalg.solve(system, (basis * trust[:, None]).T @ values / total)
        residual = values - basis @ light
        trust = weights / (1 + (residual / 0.12) ** 2)
    shade = np.clip(basis @ light, *LIGHT_RANGE)
    return light / np.average(shade, weights=weights)


def shade_of(light: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(...) light on unit normals (..., 3), kept in `LIGHT_RANGE`."""
    return np.clip(harmonics(normals) @ light, *LIGHT_RANGE)
