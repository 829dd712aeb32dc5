from __future__ import annotations

import numpy as np

from mien.pipelines.panels import fit_height, side_by_side


def test_panels_have_the_height_of_the_result():
    row = side_by_side(
        np.full((10, 10, 3), 9, np.uint8), np.full((270, 480, 3), 100, np.uint8), np.zeros((64, 64, 3), np.uint8), 114
    )
    assert row.shape == (64, 64 + 114 + 64, 3)
    assert (row[5, 5] == 9).all() and (row[30, 100] == 100).all() and (row[5, 200] == 0).all()


def test_another_shape_is_fitted_inside_the_same_width():
    panel = fit_height(np.full((100, 20, 3), 255, np.uint8), 40, 60)
    assert panel.shape == (40, 60, 3) and (panel[:, 26:34] == 255).all() and (panel[:, :20] == 0).all()
