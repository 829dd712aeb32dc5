"""From photograph to texture."""

import numpy as np
import pytest

from mien.synth.cutout import GRID, grid_pixels, grid_triangles, guided_filter
from mien.synth.graphics import open_context
from mien.synth.rasterising import rasterise
from mien.synth.unwrapping import fill_texture, pull_push, smoothstep


def test_smoothstep_runs_from_zero_to_one():
    assert np.allclose(smoothstep(1.0, 3.0, np.array([0.0, 1.0, 2.0, 3.0, 9.0])), [0, 0, 0.5, 1, 1])


def test_pull_push_keeps_what_is_known_and_fills_the_rest():
    values = np.zeros((32, 32, 1), np.float32)
    weights = np.zeros((32, 32), np.float32)
    values[:, :4], weights[:, :4] = 0.2, 1
    values[:, -4:], weights[:, -4:] = 0.8, 1
    filled = pull_push(values, weights)[..., 0]
    assert np.allclose(filled[:, :4], 0.2, atol=1e-5)
    assert np.allclose(filled[:, -4:], 0.8, atol=1e-5)
    assert 0.3 < filled[16, 16] < 0.7
    assert filled[:, 8].mean() < filled[:, 24].mean()


def test_one_side_of_a_face_is_filled_from_the_other_in_matching_colour(rng):
    albedo = np.full((96, 96, 3), 0.4, np.float32)
    albedo[40:50, 10:20] = 0.1  # a mole on one side
    confidence = np.ones((96, 96), np.float32)
    confidence[38:52, 74:88] = 0.0  # hidden on the other
    filled = fill_texture(albedo, confidence)
    assert filled[45, 80].mean() < 0.25
    assert np.allclose(filled[20:30, 10:20], 0.4, atol=1e-3)


def test_the_nearer_triangle_is_seen_and_values_are_interpolated_in_perspective(can_render):
    triangles = np.array([[0, 1, 2], [3, 4, 5]])
    near, far = 10.0, 20.0
    positions = np.array([[2, 2, near], [28, 2, near], [2, 28, near], [0, 0, far], [60, 0, far], [0, 60, far]], float)
    context = open_context()
    with context:
        seen = rasterise(context, triangles, positions, 32)
    depth = seen.spread(positions[:, 2:])[..., 0]
    assert depth[5, 5] == pytest.approx(near, abs=1e-3)
    assert depth[28, 20] == pytest.approx(far, abs=1e-3)
    at = seen.spread(positions[:, :2])
    assert np.allclose(at[10, 6], [6, 10], atol=0.02)
    context.release()


def test_perspective_divides_by_depth(can_render):
    positions = np.array([[0, 0, 1.0], [31, 0, 3.0], [0, 31, 1.0]])
    context = open_context()
    with context:
        depth = rasterise(context, np.array([[0, 1, 2]]), positions, 32).spread(positions[:, 2:])[..., 0]
    # 1/depth, not depth, is linear in the picture.
    assert depth[0, 15] == pytest.approx(1 / (1 + (1 / 3 - 1) * 15 / 31), rel=1e-3)
    context.release()


def test_the_sheet_covers_more_than_the_photograph_and_faces_the_camera():
    pixels, triangles = grid_pixels(512), grid_triangles()
    assert pixels.min() < -50 and pixels.max() > 560
    assert triangles.max() == GRID * GRID - 1
    corners = pixels[triangles]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    assert (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < 0).all()


def test_the_guided_filter_keeps_the_edge_of_its_guide(rng):
    guide = np.zeros((64, 64), np.float32)
    guide[:, 32:] = 1
    rough = np.clip(guide + rng.normal(0, 0.2, guide.shape), 0, 1).astype(np.float32)
    smooth = guided_filter(guide, rough, 6, 1e-4)
    assert smooth[:, 33].mean() - smooth[:, 30].mean() > 0.6
    assert smooth[:, 5:25].std() < 0.4 * rough[:, 5:25].std()
