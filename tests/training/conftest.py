"""A small folder of toy heads in the layout of rendered datasets, and untrained helpers for the recipes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.tracking import save_tracker
from mien.tracking.detector import DetectorConfig, FaceDetector
from mien.tracking.regressor import FaceRegressor, RegressorConfig
from mien.training.assemble import Assembly, assemble
from mien.training.engine import RunConfig, seeded
from mien.training.recipes import autoencoder, identity

TINY = {"resolution": 32, "channel_base": 256, "channel_max": 16, "dim": 16, "batch": 4}


@pytest.fixture(scope="session")
def toy_heads(tmp_path_factory) -> Path:
    """Twelve scenes of two frames, 32 pixels: a bright disc on a dark ground; its place follows yaw and pitch."""
    folder = tmp_path_factory.mktemp("heads")
    rng = np.random.default_rng(0)
    count, size = 24, 32
    angles = rng.uniform(-0.4, 0.4, (count, 3)).astype(np.float32)
    colour = np.repeat(rng.uniform(100, 255, (12, 3)), 2, 0)
    y, x = np.mgrid[:size, :size]
    centre = size / 2 + angles[:, :2] * 15
    disc = (x[None] - centre[:, 0, None, None]) ** 2 + (y[None] - centre[:, 1, None, None]) ** 2 < 60
    images = np.where(disc[..., None], colour[:, None, None], 40).astype(np.uint8)
    np.save(folder / "images.npy", images)
    np.save(folder / "regions.npy", disc.astype(np.uint8))
    np.savez(
        folder / "labels.npz",
        angles=angles,
        expression=rng.random((count, 51), np.float32),
        landmarks=rng.uniform(4, 28, (count, 68, 2)).astype(np.float32),
        visibility=np.ones((count, 68), bool),
        person=np.arange(count) // 2,
        scene=np.arange(count) // 2,
        identity=np.zeros((count, 100), np.float32),
    )
    (folder / "dataset.json").write_text(json.dumps({"version": 1, "size": size, "count": count}))
    return folder


@pytest.fixture
def run_config(tmp_path):
    """A function that makes a run configuration in single precision on the CPU."""

    def make(name: str, steps: int, **changes) -> RunConfig:
        fixed = {"device": "cpu", "precision": "32-true", "sample_every": 0, "save_every": 2, "record_every": 1}
        return RunConfig(out=tmp_path / name, steps=steps, **{**fixed, **changes})

    return make


@pytest.fixture
def same_weights():
    """A function that compares the checkpoints of two runs, tensor by tensor."""

    def compare(first, second) -> None:
        one, two = (torch.load(run.checkpoint, weights_only=True)["parts"] for run in (first, second))
        for name in one:
            for (key, a), (_, b) in zip(_flat(one[name]), _flat(two[name]), strict=True):
                assert torch.equal(a, b), f"{name}.{key} differs"

    return compare


def _flat(state, path=""):
    if isinstance(state, torch.Tensor):
        yield path, state
    elif isinstance(state, dict):
        for key, value in state.items():
            yield from _flat(value, f"{path}.{key}")


@pytest.fixture
def trained(toy_heads, run_config, tmp_path):
    """Folders of a small autoencoder and identity run, and of an untrained tracker."""
    config = autoencoder.AutoencoderConfig(data=toy_heads, adversarial_from=99, **TINY)
    autoencoder.train(config, run_config("autoencoder", 2))
    identity.train(identity.IdentityRecipe(data=toy_heads, resolution=32, embedding=8, batch=4), run_config("id", 1))
    folder = tmp_path / "tracker"
    folder.mkdir()
    regressor = seeded(0, lambda: FaceRegressor(RegressorConfig(crop_px=32, widths=(8, 8, 8, 8), hidden=16)))
    save_tracker(seeded(0, lambda: FaceDetector(DetectorConfig())), regressor, folder)
    return {"generator": tmp_path / "autoencoder", "identity": tmp_path / "id", "tracker": folder}


@pytest.fixture
def small_bundle(trained, tmp_path) -> Path:
    """A bundle of the small runs, whose roll runs farther than that of the training pictures."""
    runs = {name: trained[name] for name in ("generator", "tracker")}
    return assemble(Assembly(**runs, provenance="toy heads", roll_deg=40.0), tmp_path / "bundle")
