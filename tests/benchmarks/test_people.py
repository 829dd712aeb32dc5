"""The drivers that ask real and generated photographs: what they compare, and what they name."""

from dataclasses import replace

import numpy as np
import pytest
import smiles
import torch
import tuning

from mien.face3d.motion import arkit_motion_space
from mien.face3d.params import FaceParams

SPACE = arkit_motion_space()


def faces(pictures) -> FaceParams:
    """Brightness / 100 is the smile; a black picture shows nobody."""
    values = torch.zeros(len(pictures), len(SPACE))
    values[:, SPACE.index("mouth_smile")] = torch.tensor([float(p.mean()) / 100 for p in pictures])
    angles, expression = SPACE.decode(SPACE.normalise(values))
    return replace(
        FaceParams.invalid(len(pictures)),
        angles=angles,
        expression=expression,
        valid=torch.tensor([bool(p.any()) for p in pictures]),
    )


class Net:
    def __init__(self, data):
        pass

    def embed(self, pictures, seen):
        return torch.tensor([[1.0, float(p.mean()) / 100] for p in pictures])


@pytest.fixture
def measured(monkeypatch, tmp_path):
    monkeypatch.setattr(smiles, "MediaPipeTracker", lambda path: None)
    monkeypatch.setattr(smiles, "ReidentificationNet", Net)
    monkeypatch.setattr(smiles, "measure", lambda judge, pictures: faces(pictures))

    def compare(**levels):
        pictures = {k: [np.full((300, 300, 3), x, np.uint8) for x in values] for k, values in levels.items()}
        return smiles.compared(tmp_path, pictures)

    return compare


def test_smiles_are_compared_with_the_smiling_photograph(measured):
    results = measured(neutral=[10, 10, 10], smiling=[50, 70, 90], result=[40, 55, 0])
    assert results["smiling"]["smile error"] == pytest.approx(0, abs=1e-6)
    assert results["smiling"]["cosine, smiling"] == pytest.approx(1, abs=1e-5)
    assert results["result"]["pairs"] == 2, "the third shows nobody in one picture and is left out of all"
    assert results["result"]["found"] == pytest.approx(2 / 3, abs=1e-5)
    assert results["result"]["smile"] == pytest.approx(0.475, abs=0.01)
    assert results["result"]["smile error"] == pytest.approx(0.125, abs=0.01)
    assert results["result"]["smile r"] == pytest.approx(1, abs=1e-3)
    assert results["neutral"]["smile error"] == pytest.approx(0.5, abs=0.01)


def test_couples_are_held_out_people(data_pack):
    couples, everybody = (smiles.load_couples(data_pack, part) for part in ("held_out", "all"))
    assert (len(couples), len(everybody)) == (10, 51)
    assert all(neutral.shape == smiling.shape and not np.array_equal(neutral, smiling) for neutral, smiling in couples)


def test_other_bundles_are_measured_untuned_and_by_name(monkeypatch):
    class Bundle:
        def __init__(self, feature):
            self.feature = feature

    class Model:
        device = tracker = None

        def __init__(self, bundle, device=None, tracker=None):
            self.bundle = bundle

    monkeypatch.setattr(tuning, "load", lambda folder: Model(Bundle(None if "plain" in folder else "refined")))
    monkeypatch.setattr(tuning, "replace", lambda bundle, feature: Bundle(feature))
    monkeypatch.setattr(tuning, "Reenactor", Model)
    ways = tuning.ways_of(tuning.Settings(others=("runs/joint", "runs/plain"), steps=7))
    assert list(ways) == [
        "directions", "directions, tuned", "one-shot", "joint, directions", "joint, one-shot", "plain, directions",
    ]  # fmt: skip
    assert {name: way.tuning.steps for name, way in ways.items() if way.tuning} == {"directions, tuned": 7}
    assert ways["directions"].model.bundle.feature is None and ways["one-shot"].model.bundle.feature == "refined"
