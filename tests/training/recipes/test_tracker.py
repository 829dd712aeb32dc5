"""The tracker recipe: falls, stops and goes on to the same weights, exports what loads."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import mien
from mien.errors import TrainingError
from mien.synth.dataset import RenderedHeads
from mien.tracking import load_tracker
from mien.tracking.material import CLIPS, LabelledPictures, load_clip, load_photographs, reshaped
from mien.training.engine import RunConfig
from mien.training.parts import load_detector, load_regressor
from mien.training.recipes import tracker as recipe
from mien.training.recipes.tracker import PRESETS, TrackerConfig, TwinMaterial, rate, rendered_twins, train

AVATAR = Path(mien.__file__).parent / "assets" / "avatar"


@pytest.fixture(scope="module")
def heads(tmp_path_factory) -> Path:
    """Twelve pictures in the layout of rendered heads: a bright disc with points on its rim."""
    folder = tmp_path_factory.mktemp("heads")
    rng = np.random.default_rng(0)
    count, size = 12, 64
    images = rng.integers(0, 90, (count, size, size, 3), dtype=np.uint8)
    regions = np.zeros((count, size, size), np.uint8)
    centres = rng.uniform(28, 36, (count, 1, 2))
    turn = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    landmarks = centres + 14 * np.stack([np.cos(turn), np.sin(turn)], -1)
    y, x = np.mgrid[:size, :size]
    for i in range(count):
        inside = (x - centres[i, 0, 0]) ** 2 + (y - centres[i, 0, 1]) ** 2 < 18**2
        images[i][inside], regions[i][inside] = 200, 1
    np.save(folder / "images.npy", images)
    np.save(folder / "regions.npy", regions)
    person = np.arange(count) // 2
    labels = {"angles": rng.normal(0, 0.2, (count, 3)), "expression": rng.random((count, 51)), "landmarks": landmarks}
    labels |= {
        "visibility": np.ones((count, 68), bool),
        "person": person,
        "scene": person,
        "identity": np.zeros((count, 100)),
    }
    np.savez(folder / "labels.npz", **{k: v.astype(np.float32) if v.dtype == float else v for k, v in labels.items()})
    (folder / "dataset.json").write_text(json.dumps({"version": 1, "size": size, "count": count}))
    return folder


def configs(heads: Path, out: Path, steps: int, **run):
    torch.set_num_threads(1)
    config = TrackerConfig(data=heads, real=False, **{**PRESETS["tiny"], "scene_px": 64})  # pyright: ignore[reportArgumentType]
    return config, RunConfig(
        out=out, steps=steps, device="cpu", precision="32-true", record_every=5, sample_every=4, **run
    )


def test_stopped_and_continued_equals_uninterrupted(heads, tmp_path):
    whole = train(*configs(heads, tmp_path / "whole", 4)).parts["average"].state_dict()
    config, run_config = configs(heads, tmp_path / "split", 4, save_every=2)

    class Stop(Exception):
        pass

    import mien.training.recipes.tracker as recipe

    original, calls = recipe.draw, []

    def draw_until_three(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise Stop
        return original(*arguments)

    recipe.draw = draw_until_three
    try:
        with pytest.raises(Stop):
            train(config, run_config)
    finally:
        recipe.draw = original
    split = train(config, run_config).parts["average"].state_dict()
    assert all(torch.equal(whole[name], split[name]) for name in whole)


def test_losses_fall_and_the_export_loads(heads, tmp_path):
    run = train(*configs(heads, tmp_path, 40))
    lines = [json.loads(x) for x in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 40 and run.step == 40
    first, last = (sum(v for k, v in line.items() if k not in ("step", "minutes")) for line in (lines[0], lines[-1]))
    assert last < 0.9 * first
    assert list((tmp_path / "samples").glob("crops_*.png"))
    tracker = load_tracker("embedded", tmp_path)
    assert isinstance(tracker.find(np.zeros((100, 80, 3), np.uint8)), list)


def rows_of(pair, heads: Path) -> tuple[int, ...]:
    points = RenderedHeads(heads).params(np.arange(12)).landmarks.numpy()
    return tuple(int(np.abs(points - face.landmarks).max((1, 2)).argmin()) for face in pair)


def test_twins_come_from_one_scene_and_are_learned(heads, tmp_path):
    scene = RenderedHeads(heads).scene
    for pair in rendered_twins(RenderedHeads(heads)).draw(30, np.random.default_rng(1)):
        first, second = rows_of(pair, heads)
        assert first != second and scene[first] == scene[second]
    config, run_config = configs(heads, tmp_path / "twins", 5)
    run = train(replace(config, twins=heads, pairs=2), run_config)
    rows = [json.loads(line) for line in (run_config.out / "metrics.jsonl").read_text().splitlines()]
    assert "twin_angles" in rows[-1] and run.step == 5


def test_twins_are_never_alone_and_never_of_two_people(heads):
    faces = recipe.RenderedMaterial(RenderedHeads(heads), np.arange(12))
    twins = TwinMaterial(faces, np.array([7, 1, 7, 2, 1, 7, 3, 4, 5, 6, 8, 9]))
    seen = set()
    for pair in twins.draw(60, np.random.default_rng(0)):
        seen.add(frozenset(rows_of(pair, heads)))
    assert seen == {frozenset(pair) for pair in ((0, 2), (0, 5), (2, 5), (1, 4))}


def test_photographs_turned_a_little_teach_the_change(data_pack, tmp_path, monkeypatch):
    monkeypatch.setenv("MIEN_DATA", str(data_pack))
    monkeypatch.setattr(recipe, "load_photographs", lambda part, folder: few(load_photographs(part, folder), 5))
    monkeypatch.setattr(recipe, "reshaped", lambda faces, copies, *a, **k: reshaped(few(faces, 5), copies, *a, **k))
    config = TrackerConfig(turned=2, pairs=4, **{**PRESETS["tiny"], "scene_px": 64})  # pyright: ignore[reportArgumentType]
    pool = recipe.gather_material(config)
    assert len(pool.materials[-1]) == 10 and len(pool.twins) == 1 + len(CLIPS)
    turned = pool.materials[-1]
    assert isinstance(turned, LabelledPictures)
    angles = turned.params.angles
    spread = torch.rad2deg(angles[0::2] - angles[1::2])
    assert 0.3 < spread.abs().mean() < 10
    counts, original = [], recipe.draw_twins
    monkeypatch.setattr(recipe, "draw_twins", lambda pairs, *a: counts.append(len(pairs)) or original(pairs, *a))
    run = train(config, RunConfig(out=tmp_path, steps=2, device="cpu", precision="32-true", record_every=1))
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert run.step == 2 and all(row["twin_angles"] > 0 for row in rows) and counts == [4, 4]


def few(faces: LabelledPictures, count: int) -> LabelledPictures:
    first = slice(0, count)
    return LabelledPictures(
        faces.pictures[first], faces.owner[first], faces.params[first], faces.points[first], (faces.first_scale,),
        people=faces.people[first],
    )  # fmt: skip


def test_changes_need_two_pictures(heads):
    faces = recipe.RenderedMaterial(RenderedHeads(heads), np.arange(12))
    with pytest.raises(TrainingError, match="two pictures"):
        TwinMaterial(faces, np.arange(12))
    with pytest.raises(TrainingError, match="copies"):
        recipe.gather_material(TrackerConfig(data=heads, real=False, turned=-1))


def test_frames_of_a_clip_know_who_they_show(data_pack):
    clip = load_clip(CLIPS[1], "train", data_pack)
    points = clip.params.landmarks[:, :, 0].mean(1)
    assert set(clip.people.tolist()) == {0, 1}
    assert points[clip.people == 0].max() < points[clip.people == 1].min()
    assert np.array_equal(clip.relabelled(clip.params).people, clip.people)
    assert np.array_equal(reshaped(clip, 2, 0, every=40, folder=data_pack).people, np.repeat(clip.people[::40], 2))


def test_goes_on_from_a_run_and_from_a_bundle(heads, tmp_path):
    config, run_config = configs(heads, tmp_path / "first", 1)
    train(config, run_config)
    on = recipe.build(replace(config, start=run_config.out), torch.zeros(68, 2)).regressor
    written = load_tracker("embedded", run_config.out)
    pictures = torch.rand(2, 3, config.crop_px, config.crop_px)
    torch.testing.assert_close(on.eval()(pictures).landmarks, written._regressor(pictures).landmarks, rtol=0, atol=1e-4)
    shipped = recipe.build(TrackerConfig(start=AVATAR, crop_px=112), torch.zeros(68, 2))
    expected = load_regressor(AVATAR).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in shipped.regressor.state_dict().items())
    for wrong in (replace(config, start=AVATAR), replace(config, start=tmp_path)):
        with pytest.raises(TrainingError, match=r"no .*tracker"):
            recipe.build(wrong, torch.zeros(68, 2))
    description = run_config.out / "tracker.json"
    said = json.loads(description.read_text())
    for damage in (
        {"regressor": said["regressor"] | {"hidden": 8}},
        {"regressor": {"depth": 3}},
        {"detector": "big"},
        {"version": 0},
    ):
        description.write_text(json.dumps(said | damage))
        for read in (load_regressor, load_detector):
            with pytest.raises(TrainingError, match="tracker"):
                read(run_config.out)


def test_rate_rises_and_falls():
    config = TrackerConfig(lr=1.0, warm_up=10)
    assert rate(0, config, 100) < rate(9, config, 100) > rate(60, config, 100) > rate(100, config, 100) == 0


def test_nothing_to_train_on(tmp_path):
    with pytest.raises(TrainingError):
        train(TrackerConfig(real=False), RunConfig(out=tmp_path, steps=1, device="cpu"))
