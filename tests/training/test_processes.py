"""Two gloo processes compute what one computes, stop together, and continue from one checkpoint."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = """
import sys, torch
from pathlib import Path
from torch import nn
from mien.training.engine import Ema, Run, RunConfig, seeded, start_fabric

out, devices, steps, minutes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
config = RunConfig(out=out, steps=steps, max_minutes=minutes or None, device="cpu", devices=devices,
                   precision="32-true", save_every=3, record_every=1)
run = Run(config, start_fabric(config))
data = torch.randn(64, 5, generator=torch.Generator().manual_seed(1))
model = seeded(0, lambda: nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1)))
average = Ema(model, 20.0)
optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
run.track(model=model, average=average.model, optimiser=optimiser)
for step in run.steps():
    x = data[run.batch(len(data), 8)]
    loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
    run.descend(optimiser, loss)
    run.record(loss=loss)
    average.update(model, 8, 8 * (step + 1))
"""


@pytest.fixture
def train(tmp_path):
    script = tmp_path / "little.py"
    script.write_text(SCRIPT)

    def run(name: str, devices: int, steps: int, minutes: float = 0) -> dict:
        words = [sys.executable, str(script), str(tmp_path / name), str(devices), str(steps), str(minutes)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, env=environment)
        assert done.returncode == 0, done.stderr[-2000:]
        return torch.load(tmp_path / name / "state.pt", weights_only=True)

    return run


@pytest.mark.multi
def test_two_processes_equal_one_and_continue_its_run(train, tmp_path):
    one, two = train("one", 1, 7), train("two", 2, 7)
    assert one["step"] == two["step"] == 7
    for part in ("model", "average"):
        for name, value in one["parts"][part].items():
            torch.testing.assert_close(two["parts"][part][name], value, rtol=1e-4, atol=1e-6)
    train("mixed", 1, 4)
    mixed = train("mixed", 2, 7)
    torch.testing.assert_close(
        mixed["parts"]["model"]["0.weight"], one["parts"]["model"]["0.weight"], rtol=1e-4, atol=1e-6
    )
    lines = [json.loads(x)["step"] for x in (Path(tmp_path) / "two" / "metrics.jsonl").read_text().splitlines()]
    assert lines == list(range(1, 8)), "only the first process writes"


GAME = """
import sys
from pathlib import Path
from mien.training.engine import RunConfig
from mien.training.recipes import autoencoder

heads, out, devices = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
sizes = {"resolution": 32, "channel_base": 256, "channel_max": 16, "dim": 16, "batch": 4}
config = autoencoder.AutoencoderConfig(data=heads, **sizes)
autoencoder.train(config, RunConfig(out=out, steps=3, device="cpu", devices=devices, precision="32-true",
                                    record_every=1, sample_every=0))
"""


@pytest.mark.multi
def test_two_processes_play_one_game(toy_heads, tmp_path):
    """Each draws poses of its own, so weights differ from those of one process; codes and batches are shared out."""
    script = tmp_path / "game.py"
    script.write_text(GAME)
    states = []
    for devices in (1, 2):
        out = tmp_path / str(devices)
        words = [sys.executable, str(script), str(toy_heads), str(out), str(devices)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(words, capture_output=True, text=True, timeout=180, env=environment)
        assert done.returncode == 0, done.stderr[-2000:]
        states.append(torch.load(out / "state.pt", weights_only=True)["parts"])
    recent = [(state["recent"]["codes"].abs().sum(1) > 0).sum() for state in states]
    assert recent == [12, 12], "every code of every process is among the recent ones, once"
    first = [json.loads((tmp_path / str(n) / "metrics.jsonl").read_text().splitlines()[0]) for n in (1, 2)]
    assert first[0]["prior"] == pytest.approx(first[1]["prior"], rel=1e-4)


@pytest.mark.multi
def test_a_time_limit_stops_both_at_the_same_step(train):
    assert 0 < train("short", 2, 10**6, 0.02)["step"] < 10**6
