"""The ICT head as a linear shape model."""

import pytest
import torch

from mien.errors import MissingDataError
from mien.face3d import ARKIT_NAMES, load_ict


def test_missing_model_is_a_typed_error(tmp_path):
    with pytest.raises(MissingDataError, match="ICT"):
        load_ict(tmp_path / "absent.npz")


def test_shape_model(data_pack):
    model = load_ict(data_pack / "head" / "ict_facekit.npz")
    none, weights = torch.zeros(2, 100), torch.zeros(2, 51)
    weights[1, ARKIT_NAMES.index("jawOpen")] = 1
    still, opened = model.vertices(none, weights)[:, model.landmarks]
    assert still[45, 0] > 4 > -4 > still[36, 0], "the subject's left eye is at positive x"
    assert opened[8, 1] < still[8, 1] - 2, "the chin drops by more than 2 cm"
    assert float((opened[36] - still[36]).norm()) < 0.1, "eye corners stay"
