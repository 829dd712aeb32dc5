"""The close-up recipe: only the net for close-ups learns, resumes exactly, exports, and becomes a part of a bundle."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.apps.cli import main
from mien.checkpoints import load_bundle
from mien.errors import TrainingError
from mien.face3d.mirroring import MIRRORED_LANDMARKS
from mien.tracking import load_tracker
from mien.tracking.embedded import read_tracker
from mien.tracking.material import CLIPS, LabelledPictures, load_photographs, reshaped
from mien.training.assemble import Assembly, assemble
from mien.training.parts import load_closeup, load_detector, load_regressor
from mien.training.recipes import closeup as recipe
from mien.training.recipes import tracker as tracker_recipe
from mien.training.recipes.closeup import PRESETS, CloseUpRecipe, rate, train


@pytest.fixture
def config(toy_heads, trained) -> CloseUpRecipe:
    torch.set_num_threads(1)
    small = {**PRESETS["tiny"], "mouth_px": 32, "eye_px": 16}
    return CloseUpRecipe(start=trained["tracker"], data=toy_heads, twins=toy_heads, real=False, **small)  # pyright: ignore[reportArgumentType]


def test_stopped_and_continued_equals_uninterrupted(config, run_config, same_weights, monkeypatch):
    whole = train(config, run_config("whole", 4))

    class Stop(Exception):
        pass

    original, calls = recipe.draw, []

    def draw_until_three(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise Stop
        return original(*arguments)

    monkeypatch.setattr(recipe, "draw", draw_until_three)
    with pytest.raises(Stop):
        train(config, run_config("split", 4))
    monkeypatch.setattr(recipe, "draw", original)
    same_weights(whole, train(config, run_config("split", 4)))


def test_losses_fall_and_the_tracker_stays_as_it_was(config, run_config):
    options = run_config("run", 40, record_every=10, sample_every=20)
    run = train(replace(config, lr=1e-2, ema_images=1.0), options)
    lines = [json.loads(line) for line in (options.out / "metrics.jsonl").read_text().splitlines()]
    gains = [line["expression_before"] - line["expression"] for line in lines]
    assert run.step == 40 and gains[-1] > gains[0] and gains[-1] > 0.02 * lines[-1]["expression"]
    assert lines[-1]["own_expression"] < 0.9 * lines[0]["own_expression"]
    assert all(line[name] > 0 for line in lines for name in ("change", "own_change")) and list(
        (options.out / "samples").glob("closeups_*.png")
    )
    for load in (load_detector, load_regressor):
        before, after = load(config.start).state_dict(), load(options.out).state_dict()
        assert all(torch.equal(value, after[name]) for name, value in before.items())
    closeup = load_closeup(options.out)
    assert closeup is not None and closeup.config.mouth_px == 32 and load_closeup(config.start) is None
    assert isinstance(load_tracker("embedded", options.out).find(np.zeros((100, 80, 3), np.uint8)), list)


def test_doubts_are_nearly_alike_for_twins(config, run_config):
    run = recipe.Run(run_config("r", 1), recipe.start_fabric(run_config("r", 1)))
    reading = recipe.FaceReading(torch.zeros(206, 68, 2), torch.zeros(206, 3), torch.zeros(206, 51), torch.zeros(206))
    lesson = recipe.Lesson(None, 6, None, reading)  # pyright: ignore[reportArgumentType]
    doubts = recipe.doubted(run, lesson, 0.5).reading.expression
    assert abs(doubts[:6].std() - 0.5) < 0.1 and not torch.equal(doubts[0], doubts[1])
    first, second = doubts[6::2], doubts[7::2]
    assert 0.05 < (first - second).std() < 0.3 < first.std() and (reading.expression == 0).all()
    assert torch.equal(recipe.doubted(run, lesson, 0.0).reading.expression, reading.expression)


def test_corrections_learn_from_singles_and_from_changes(config, run_config):
    run = recipe.Run(run_config("r", 1), recipe.start_fabric(run_config("r", 1)))
    pool, net = recipe.gather(config), recipe.build(config)
    batch, singles = recipe.draw(run, pool, config, 64)
    assert (singles, len(batch.crops), batch.crops.shape[1]) == (6, 10, 64)
    lesson = recipe.Lesson(batch, singles, *recipe.look(run, load_regressor(config.start), batch, net.config))
    names = ("expression", "change")
    read = lesson.reading.expression.clone().requires_grad_()
    losses = recipe.losses_of(lesson, read, config)
    assert set(losses) == set(names)
    for name, rows in zip(names, (slice(0, 6), slice(6, 10)), strict=True):
        (gradient,) = torch.autograd.grad(losses[name], read, retain_graph=True)
        reached = gradient.abs().sum(1) > 0
        assert reached[rows].all() and int(reached.sum()) == rows.stop - rows.start
    truth = torch.logit(batch.expression.clamp(1e-4, 1 - 1e-4))
    better = recipe.losses_of(lesson, truth, config)
    assert all(better[name] < losses[name] for name in names)


def test_close_ups_are_drawn_as_sharp_as_the_picture(config, run_config):
    """Crops have twice the side of the regressor's, and what is cut from them is where its landmarks lie."""
    run = recipe.Run(run_config("r", 1), recipe.start_fabric(run_config("r", 1)))
    batch, _ = recipe.draw(run, recipe.gather(config), config, 64)
    seen = []

    class Regressor(torch.nn.Module):
        def forward(self, crops):
            seen.append(crops)
            count = len(crops)
            points = batch.landmarks.repeat(2, 1, 1)
            points[count // 2 :] = points[count // 2 :, MIRRORED_LANDMARKS] * torch.tensor([-1.0, 1.0])
            return recipe.FaceReading(points, torch.zeros(count, 3), torch.zeros(count, 51), torch.zeros(count))

    _, reading = recipe.look(run, Regressor(), batch, recipe.build(config).config)  # pyright: ignore[reportArgumentType]
    assert seen[0].shape == (20, 3, 32, 32)
    blocks = batch.crops.reshape(10, 32, 2, 32, 2, 3).float().mean((2, 4)).permute(0, 3, 1, 2)
    torch.testing.assert_close(seen[0][:10], blocks / 127.5 - 1)
    torch.testing.assert_close(seen[0][10:], seen[0][:10].flip(3))
    torch.testing.assert_close(reading.landmarks, batch.landmarks, rtol=0, atol=1e-5)


def test_goes_on_from_its_own_export(config, run_config):
    first = run_config("first", 2)
    train(replace(config, lr=1e-2), first)
    on, written = recipe.build(replace(config, start=first.out)), load_closeup(first.out)
    assert written is not None
    assert all(torch.equal(value, written.state_dict()[name]) for name, value in on.state_dict().items())
    with pytest.raises(TrainingError, match="another size"):
        recipe.build(replace(config, start=first.out, hidden=8))
    with pytest.raises(TrainingError, match="no readable tracker"):
        train(replace(config, start=first.out / "nowhere"), run_config("lost", 1))


def test_becomes_a_part_of_a_bundle(config, run_config, trained, tmp_path):
    options = run_config("run", 3)
    train(replace(config, lr=1e-2), options)
    runs = {"generator": trained["generator"], "tracker": options.out}
    folder = assemble(Assembly(**runs, provenance="toy heads"), tmp_path / "closer")
    tracker = load_bundle(folder).need_tracker()
    written = read_tracker(options.out)[2]
    assert tracker.closeup is not None and written is not None and tracker.closeup.config == written.config
    for name, value in written.state_dict().items():
        torch.testing.assert_close(tracker.closeup.state_dict()[name], value, rtol=1e-3, atol=1e-3)
    assert load_closeup(folder) is not None
    half = assemble(Assembly(**runs, closeup_share=0.5, provenance="toy heads"), tmp_path / "half")
    closeup = load_closeup(half)
    assert closeup is not None
    last = closeup.get_parameter("eye_answer.2.weight")
    torch.testing.assert_close(last, written.get_parameter("eye_answer.2.weight") / 2, rtol=1e-3, atol=1e-5)
    runs["tracker"] = trained["tracker"]
    plain = assemble(Assembly(**runs, provenance="toy heads"), tmp_path / "plain")
    assert load_bundle(plain).need_tracker().closeup is None and not (plain / "closeup.safetensors").exists()


def test_photographs_and_clips_teach_it_but_less_than_renders(data_pack, toy_heads, trained, tmp_path, monkeypatch):
    def few(faces: LabelledPictures, count: int = 5) -> LabelledPictures:
        first = slice(0, count)
        pictures, owner, params = faces.pictures[first], faces.owner[first], faces.params[first]
        scales, people = (faces.first_scale,), faces.people[first]
        return LabelledPictures(pictures, owner, params, faces.points[first], scales, people=people)

    monkeypatch.setenv("MIEN_DATA", str(data_pack))
    monkeypatch.setattr(tracker_recipe, "load_photographs", lambda part, folder: few(load_photographs(part, folder)))
    monkeypatch.setattr(tracker_recipe, "reshaped", lambda faces, *a, **k: reshaped(few(faces), *a, **k))
    words = ["--start", str(trained["tracker"]), "--turned", "2", "--out", str(tmp_path / "made"), "--steps", "1"]
    assert main(["train", "closeup", "--preset", "tiny", *words, "--device", "cpu", "--precision", "32-true"]) == 0
    pool = recipe.gather(CloseUpRecipe(start=Path("nowhere"), turned=2))
    assert len(pool.materials) == 4 + 2 * len(CLIPS) - 1 and len(pool.twins) == 1 + len(CLIPS)
    more = recipe.gather(CloseUpRecipe(start=Path("nowhere"), turned=2, data=toy_heads, rendered=0.7))
    assert more.shares[-1] == 0.7 and sum(more.shares) == pytest.approx(1)
    assert more.shares[0] / more.shares[1] == pytest.approx(pool.shares[0] / pool.shares[1])
    assert load_closeup(tmp_path / "made") is not None


def test_nothing_to_train_on(trained, run_config):
    with pytest.raises(TrainingError, match="rendered heads"):
        train(CloseUpRecipe(start=trained["tracker"], real=False), run_config("r", 1))


def test_rate_rises_and_falls():
    config = CloseUpRecipe(start=Path("t"), lr=1.0, warm_up=10)
    assert rate(0, config, 100) < rate(9, config, 100) > rate(60, config, 100) > rate(100, config, 100) == 0
