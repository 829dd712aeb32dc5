"""Which frame of a driver is its neutral one."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from mien.errors import InputError, NoFaceError
from mien.face3d.motion import arkit_motion_space, deca_motion_space
from mien.face3d.params import ARKIT_NAMES, FaceParams
from mien.face3d.ranges import published_ranges
from mien.pipelines.reference import neutral_face, numbered_face, offset_from_neutral
from mien.pipelines.watching import Seen, Watch

MOTION = arkit_motion_space()


def _watch(fakes, smiles) -> Watch:
    frames = [fakes.paint() if s is None else fakes.paint((40, 32), smile=s) for s in smiles]
    return Watch(fakes.PaintedTracker(), frames, batch=3)


def _smile(params: FaceParams) -> float:
    return float(MOTION.read(params)[0, MOTION.index("mouth_smile")])


def test_neutral_is_a_face_at_rest_not_the_middle_of_the_ranges():
    """q = 0 is a half open mouth; neutral is a closed one."""
    faces = FaceParams.invalid(3)
    faces.expression[1] = 0.5
    faces.angles[2, 0] = 0.1
    distance = offset_from_neutral(MOTION, faces).norm(dim=1)
    assert distance[0] == 0 and 0 < distance[2] < distance[1]
    assert distance[2] == pytest.approx(torch.rad2deg(torch.tensor(0.1)).item() * 6 / 45, rel=1e-5)
    deca = deca_motion_space(published_ranges("voxceleb"))
    assert offset_from_neutral(deca, FaceParams.invalid(1, "deca")).norm().item() == pytest.approx(0, abs=1e-5)


def test_the_most_neutral_frame_is_found_among_those_with_a_face(fakes):
    assert _smile(neutral_face(_watch(fakes, [0.9, None, 0.3, 0.1, 0.6]), MOTION)) == pytest.approx(0.1, abs=0.01)
    with pytest.raises(NoFaceError, match="any of the 2"):
        neutral_face(_watch(fakes, [None, None]), MOTION)


def test_a_blink_neither_decides_nor_stays():
    """A driver who smiles throughout, and least while blinking: that smile, with the eyes as open as ever."""
    faces = FaceParams.invalid(3)
    faces.valid[:] = True
    blink, smile = (
        [ARKIT_NAMES.index(f"{name}{side}") for side in ("Left", "Right")] for name in ("eyeBlink", "mouthSmile")
    )
    faces.expression[:, smile] = torch.tensor([[0.95], [0.9], [0.3]])
    faces.expression[:, blink] = torch.tensor([[0.1, 0.05], [0.05, 0.1], [0.9, 0.9]])
    seen = [Seen(np.zeros((4, 4, 3), np.uint8), faces[i], Fraction(i)) for i in range(3)]
    found = neutral_face(seen, MOTION)
    assert _smile(found) == pytest.approx(0.3)
    assert found.expression[0, blink].tolist() == pytest.approx([0.05, 0.05])
    assert faces.expression[2, blink].tolist() == pytest.approx([0.9, 0.9]), "what was seen is left alone"


def test_a_frame_by_its_number(fakes):
    assert _smile(numbered_face(_watch(fakes, [0.9, None, 0.3]), 2)) == pytest.approx(0.3, abs=0.01)
    with pytest.raises(NoFaceError, match="frame 1"):
        numbered_face(_watch(fakes, [0.9, None, 0.3]), 1)
    with pytest.raises(InputError, match="no frame 3; its 3 frames"):
        numbered_face(_watch(fakes, [0.9, None, 0.3]), 3)
