from __future__ import annotations

import numpy as np
import pytest

from mien.errors import NoFaceError, SeveralFacesError
from mien.pipelines.faces import measure_face


def _middle(fakes, image, face) -> float:
    params = measure_face(fakes.PaintedTracker(), image, face)
    return float(params.landmarks[0, [0, 16], 0].mean())


def test_a_small_second_face_is_not_in_the_way(fakes):
    assert _middle(fakes, fakes.paint((10, 40), (80, 20)), None) == pytest.approx(29.5, abs=1)


def test_two_prominent_faces_need_a_choice(fakes):
    image = fakes.paint((10, 30), (60, 40))
    with pytest.raises(SeveralFacesError, match=r"2 faces.*0 at \(24, 24\).*1 at \(80, 30\).*--source-face"):
        measure_face(fakes.PaintedTracker(), image, None)
    chosen = {face: _middle(fakes, image, face) for face in ("left", "right", "largest", 0, 1)}
    assert chosen["left"] == chosen[0] == pytest.approx(24.5, abs=1)
    assert chosen["right"] == chosen[1] == chosen["largest"] == pytest.approx(79.5, abs=1)
    with pytest.raises(NoFaceError, match="no face number 2; 2 faces"):
        measure_face(fakes.PaintedTracker(), image, 2)


def test_no_face(fakes):
    with pytest.raises(NoFaceError):
        measure_face(fakes.PaintedTracker(), np.zeros((20, 20, 3), np.uint8), None)
