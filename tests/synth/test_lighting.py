"""Light as harmonics of the normal."""

import numpy as np

from mien.synth.lighting import LIGHT_RANGE, fit_light, harmonics, shade_of, to_display, to_linear


def _normals(rng, count=4000):
    normals = rng.normal(size=(count, 3))
    normals[:, 2] = np.abs(normals[:, 2])
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def test_display_and_linear_are_inverse():
    values = np.linspace(0, 1, 11)
    assert np.allclose(to_display(to_linear(values)), values)
    assert to_linear(np.array(0.5)) < 0.25


def test_harmonics_beyond_the_constant_have_no_mean_over_the_sphere(rng):
    normals = rng.normal(size=(400_000, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    means = harmonics(normals).mean(0)
    assert means[0] == 1.0
    assert np.abs(means[1:]).max() < 0.01


def test_a_light_from_the_side_is_found_through_a_dark_beard(rng):
    normals = _normals(rng)
    true = np.r_[1.0, 0.25, 0.1, 0.0, np.zeros(5)]
    expected = harmonics(normals) @ true
    luminance = 0.4 * expected
    beard = (normals[:, 1] < -0.5) & (rng.random(len(normals)) < 0.4)
    luminance[beard] *= 0.15
    light = fit_light(luminance, normals, np.ones(len(normals)))
    # Without the loss of trust the beard reads as darkness from below.
    below, above = np.array([0.0, -0.7, 0.714]), np.array([0.0, 0.7, 0.714])
    slope = float(shade_of(light, above) - shade_of(light, below))
    assert abs(slope - 0.14) < 0.05
    assert np.corrcoef(harmonics(normals) @ light, expected)[0, 1] > 0.97
    assert abs(np.average(np.clip(harmonics(normals) @ light, *LIGHT_RANGE)) - 1) < 1e-6


def test_shade_stays_in_range():
    light = np.r_[1.0, 5.0, np.zeros(7)]
    shade = shade_of(light, np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]))
    assert np.allclose(shade, LIGHT_RANGE[::-1])
