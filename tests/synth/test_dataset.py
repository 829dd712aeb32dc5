"""Datasets are the same however they are written, and read back what was rendered."""

import dataclasses
import json

import numpy as np
import pytest

from mien.errors import InputError, MissingDataError, OutputError
from mien.synth import dataset as dataset_room
from mien.synth.dataset import DatasetConfig, RenderedHeads, frame_motion, person_seed, write_dataset

CONFIG = DatasetConfig(
    num_scenes=5, frames_per_scene=2, size=32, supersample=1, seed=4, processes=1, scenes_per_shard=2
)


@pytest.fixture(scope="module")
def written(renderer, tmp_path_factory):
    return write_dataset(CONFIG, tmp_path_factory.mktemp("heads"))


def test_reader_returns_what_was_rendered(written, renderer):
    heads = RenderedHeads(written)
    assert len(heads) == 10
    assert heads.images([0, 9]).shape == (2, 32, 32, 3)
    params = heads.params([3, 7])
    assert params.angles.shape == (2, 3) and params.valid.all()
    angles, expression, _ = dataset_room.frame_motion(CONFIG, 1, 1)
    assert np.allclose(params.angles[0].numpy(), angles, atol=1e-6)
    assert np.allclose(params.expression[0].numpy(), expression, atol=1e-6)
    assert heads.scene.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert heads.person.tolist() == [person_seed(CONFIG, scene) for scene in heads.scene]
    assert heads.identity.shape == (10, 100) and heads.visibility.dtype == bool
    assert sorted(path.name for path in written.iterdir()) == [
        "dataset.json",
        "images.npy",
        "labels.npz",
        "regions.npy",
    ]


def test_resumed_equals_uninterrupted(written, tmp_path, monkeypatch):
    shard = dataset_room._write_shard
    calls = []

    def interrupted(renderer, job):
        calls.append(job)
        if len(calls) == 2:
            raise KeyboardInterrupt
        shard(renderer, job)

    monkeypatch.setattr(dataset_room, "_write_shard", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_dataset(CONFIG, tmp_path)
    assert not (tmp_path / "images.npy").exists()
    with pytest.raises(InputError):
        RenderedHeads(tmp_path)
    monkeypatch.setattr(dataset_room, "_write_shard", shard)
    write_dataset(CONFIG, tmp_path)
    for name in ("images.npy", "regions.npy", "dataset.json"):
        assert (tmp_path / name).read_bytes() == (written / name).read_bytes()


def test_a_scene_is_the_same_at_any_count(written, tmp_path):
    write_dataset(dataclasses.replace(CONFIG, num_scenes=3, scenes_per_shard=3), tmp_path)
    assert np.array_equal(RenderedHeads(tmp_path).images(slice(None)), RenderedHeads(written).images(slice(0, 6)))


def test_another_dataset_is_never_overwritten(written):
    before = json.loads((written / "dataset.json").read_text())
    with pytest.raises(OutputError):
        write_dataset(dataclasses.replace(CONFIG, seed=5), written)
    assert json.loads((written / "dataset.json").read_text()) == before
    assert write_dataset(CONFIG, written) == written


def test_splits_share_no_person():
    def people(split):
        configs = [dataclasses.replace(CONFIG, split=split, seed=seed) for seed in (0, 9)]
        return {person_seed(config, scene) for config in configs for scene in range(50)}

    train, held = people("train"), people("heldout")
    assert len(train) == len(held) == 100 and not train & held


def test_unknown_split_is_refused(tmp_path):
    with pytest.raises(InputError):
        write_dataset(dataclasses.replace(CONFIG, split="test"), tmp_path)


def test_missing_data_is_a_typed_error(tmp_path, monkeypatch):
    from mien.synth.assets import load_head

    monkeypatch.setenv("MIEN_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(MissingDataError):
        load_head.__wrapped__()


def test_frames_of_a_narrow_scene_stay_close_to_its_first():
    wide, narrow = DatasetConfig(seed=5), DatasetConfig(seed=5, spread=0.1)
    assert "spread" not in wide.content() and narrow.content()["spread"] == 0.1
    first, last = frame_motion(wide, 3, 0), frame_motion(wide, 3, 2)
    near = frame_motion(narrow, 3, 2)
    assert np.allclose(frame_motion(narrow, 3, 0)[0], first[0])
    for a, b, c in zip(first, last, near, strict=True):
        assert np.allclose(c - a, 0.1 * (b - a))
