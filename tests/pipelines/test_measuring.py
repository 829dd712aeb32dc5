from __future__ import annotations

import numpy as np
import pytest

from mien.errors import NoFaceError, OutputError
from mien.face3d.params import ARKIT_NAMES
from mien.pipelines import track_video


def test_parameters_and_times_of_every_frame(fakes, tmp_path):
    driver = fakes.write_driver(tmp_path / "bob.mp4", [0.1, None, 0.8])
    calls = []
    returned = track_video(
        fakes.PaintedTracker(), driver, tmp_path / "p.npz", progress=lambda *done: calls.append(done)
    )
    with np.load(tmp_path / "p.npz") as stored:
        assert stored["valid"].tolist() == [True, False, True]
        smile = stored["expression"][:, stored["expression_names"].tolist().index("mouthSmileLeft")]
        assert smile[[0, 2]] == pytest.approx([0.1, 0.8], abs=0.05)
        assert stored["expression_names"].tolist() == list(ARKIT_NAMES)
        numerator, denominator = stored["time_base_s"]
        assert stored["pts"] * numerator / denominator == pytest.approx([0, 1001 / 30000, 2002 / 30000])
        np.testing.assert_array_equal(stored["landmarks_px"], returned.landmarks.numpy())
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_nothing_is_written_without_a_face_or_to_a_wrong_place(fakes, tmp_path):
    driver = fakes.write_driver(tmp_path / "bob.mp4", [None, None])
    with pytest.raises(NoFaceError, match="any of the 2"):
        track_video(fakes.PaintedTracker(), driver, tmp_path / "p.npz")
    with pytest.raises(OutputError, match=r"\.npz"):
        track_video(fakes.PaintedTracker(), driver, tmp_path / "p.json")
    assert [path.name for path in tmp_path.iterdir()] == ["bob.mp4"]
