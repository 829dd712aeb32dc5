"""Runs continue exactly, stop when asked, and record what happened."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from mien.errors import OutputError, TrainingError
from mien.training.engine import Ema, Run, RunConfig, choose_preset, seeded, set_rate, settled, start_fabric


def little_run(config: RunConfig, die_at: int | None = None) -> tuple[Run, nn.Linear]:
    """Fit a line to random points; optionally die in the middle of a step."""
    run = Run(config, start_fabric(config))
    model = seeded(config.seed, lambda: nn.Linear(3, 1))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    run.track(model=model, optimiser=optimiser)
    for step in run.steps():
        x = torch.randn(4, 3, generator=run.generator())
        run.descend(optimiser, (model(x) - x.sum(1, keepdim=True)).square().mean())
        run.record(step_number=float(step))
        if step == die_at:
            run.save = lambda: None  # what a killed process does
            raise KeyboardInterrupt
    return run, model


def test_killed_and_continued_equals_uninterrupted(run_config, same_weights):
    whole, _ = little_run(run_config("whole", 9))
    with pytest.raises(KeyboardInterrupt):
        little_run(run_config("parts", 9), die_at=5)
    parts, _ = little_run(run_config("parts", 9))
    same_weights(whole, parts)
    lines = [json.loads(x)["step"] for x in (parts.config.out / "metrics.jsonl").read_text().splitlines()]
    assert lines == list(range(1, 10)), "no step is recorded twice or lost"


def test_time_limit_stops_and_saves(run_config):
    run, _ = little_run(run_config("short", 10**6, max_minutes=0.003))
    assert 0 < run.step < 10**6 and run.checkpoint.is_file()


def test_one_loss_may_teach_several_networks_at_their_own_rates(run_config):
    run = Run(run_config("several", 1), start_fabric(run_config("several", 1)))
    models = [seeded(0, lambda: nn.Linear(2, 1)) for _ in range(2)]
    optimisers = [torch.optim.SGD(model.parameters(), lr=lr) for model, lr in zip(models, (0.1, 0.2), strict=True)]
    before = models[0].weight.detach().clone()
    for _ in range(2):  # the second step must not see the gradients of the first
        run.descend(optimisers[0], sum(model(torch.ones(1, 2)).sum() for model in models), *optimisers[1:])
    for model, way in zip(models, (0.2, 0.4), strict=True):
        torch.testing.assert_close(model.weight, before - way)


def test_checkpoint_of_something_else_is_refused(run_config):
    config = run_config("mixed", 2)
    little_run(config)
    run = Run(config, start_fabric(config))
    with pytest.raises(TrainingError, match="expected"):
        run.track(other=nn.Linear(1, 1))
    with pytest.raises(TrainingError, match="does not fit"):
        Run(config, start_fabric(config)).track(model=nn.Linear(9, 9), optimiser=nn.Linear(1, 1))


def test_non_finite_gradients_do_not_poison_the_weights(run_config):
    config = run_config("nan", 1)
    run = Run(config, start_fabric(config))
    model = nn.Linear(2, 1)
    run.descend(torch.optim.Adam(model.parameters()), model(torch.tensor([[float("nan"), 1.0]])).sum())
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_random_numbers_depend_on_seed_step_and_stream(run_config):
    run = Run(run_config("random", 5), start_fabric(run_config("random", 5)))

    def draw(stream: int = 0) -> float:
        return float(torch.rand((), generator=run.generator(stream)))

    first = draw()
    assert first == draw() and first != draw(1)
    run.step = 1
    assert first != draw()
    assert len(set(run.batch(1000, 64).tolist())) > 50


def test_average_has_the_stated_half_life():
    model = nn.Linear(1, 1, bias=False)
    average = Ema(model, half_life=100, ramp=1.0)
    start = float(average.model.weight)
    model.weight.data.add_(1.0)
    for _ in range(10):
        average.update(model, batch=10, seen=10**6)
    assert float(average.model.weight) - start == pytest.approx(0.5, abs=1e-5)


def test_unknown_preset_lists_the_known():
    with pytest.raises(TrainingError, match="tiny, large"):
        choose_preset({"tiny": 1, "large": 2}, "huge")


def test_missing_device_is_a_typed_error(run_config):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(TrainingError, match="cannot train on cuda"):
        start_fabric(run_config("gpu", 1, device="cuda"))


def test_a_folder_that_cannot_be_made_is_a_typed_error(run_config, tmp_path):
    (tmp_path / "file").write_text("")
    config = run_config("unused", 1)
    run = Run(replace(config, out=tmp_path / "file" / "run"), start_fabric(config))
    with pytest.raises(OutputError, match="no folder of a run"):
        list(run.steps())


def test_a_rate_is_that_of_all_groups():
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (1.0, 2.0)]
    optimiser = torch.optim.Adam(groups)
    set_rate(optimiser, 0.25)
    assert [group["lr"] for group in optimiser.param_groups] == [0.25, 0.25]


def test_learning_rates_settle_at_the_end():
    assert [settled(step, 100, 0.25) for step in (0, 74, 75, 90, 100)] == pytest.approx([1, 1, 1, 0.46, 0.1])
    assert settled(99, 100, 0.0) == 1
