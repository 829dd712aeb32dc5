"""Fitting finds the head that a picture was made from."""

import numpy as np
import pytest

from mien.errors import InputError
from mien.synth.fitting import Lens, face_square, fit_head, load_correspondence


def test_rays_are_what_projects_onto_a_pixel():
    lens = Lens(700.0, np.array([250.0, 260.0]))
    pixels = np.array([[250.0, 260.0], [10.0, 500.0], [400.0, 3.0]])
    assert np.allclose(lens.project(7.5 * lens.rays(pixels)), pixels)
    assert lens.rays(pixels)[2, 1] > 0  # rows run down, y runs up


def test_the_pose_of_a_rendered_head_is_found(portrait):
    _, points, scores, angles, _ = portrait
    fit = fit_head(points, scores)
    error = np.degrees(np.abs(fit.angles - angles))
    assert error[[0, 2]].max() < 0.6
    # One picture does not tell a camera a little higher, or of another lens, from a head a little lower.
    assert error[1] < 4.0
    assert fit.error < 0.002


def test_the_fit_explains_the_points(portrait, renderer):
    _, points, scores, _, _ = portrait
    fit = fit_head(points, scores)
    shape = renderer._deformer.identify(fit.identity.astype(np.float32))
    shape = shape + (fit.expression.astype(np.float32) @ renderer.head.expression).reshape(-1, 3)
    seen = fit.lens.project(fit.to_camera(shape[load_correspondence().vertices]))
    distance = np.linalg.norm(seen - points[:468], axis=1)
    assert np.median(distance) < 1.0
    assert np.allclose(fit.to_head(fit.to_camera(shape)), shape, atol=1e-4)


def test_weights_stay_in_their_range(portrait):
    _, points, scores, _, _ = portrait
    fit = fit_head(points, scores)
    assert (fit.expression >= -1e-6).all() and (fit.expression <= 1 + 1e-6).all()
    assert np.abs(fit.identity).max() <= 3 + 1e-6
    assert not fit.identity[50:].any()


def test_points_of_no_face_are_refused(portrait, rng):
    _, points, scores, _, _ = portrait
    scattered = rng.permutation(points)
    with pytest.raises(InputError, match="does not fit"):
        fit_head(scattered, scores)


def test_the_square_grows_with_the_face():
    points = np.zeros((478, 2))
    points[10], points[152], points[234], points[454] = (50, 0), (50, 100), (10, 50), (90, 50)
    centre, side = face_square(points)
    assert np.allclose(centre, [50, 50]) and side == pytest.approx(205.0)
    assert face_square(2 * points)[1] == pytest.approx(410.0)
