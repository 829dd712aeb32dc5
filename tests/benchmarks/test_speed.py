"""The arithmetic of the speed drivers."""

import importlib.util
from pathlib import Path

import pytest

from mien.stylegan2 import GeneratorConfig

SPEED = Path(__file__).parents[2] / "benchmarks" / "speed"


@pytest.fixture
def driver(monkeypatch):
    """benchmarks/speed/generator.py; a file of the same name is among the quality drivers."""
    monkeypatch.syspath_prepend(SPEED)
    spec = importlib.util.spec_from_file_location("speed_generator", SPEED / "generator.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(importlib.import_module("sys").modules, "speed_generator", module)
    spec.loader.exec_module(module)
    return module


def test_multiply_adds_by_hand(driver):
    """4² and 8² with 2 and 1 channels, codes of 3 numbers."""
    counts = driver.multiply_adds(GeneratorConfig(resolution=8, style_dim=3, channel_base=8, channel_max=2))
    assert counts == {
        "convolutions": 9 * 2 * 2 * 16 + 9 * 2 * 1 * 16 + 9 * 1 * 1 * 64,
        "to_rgb": 3 * 2 * 16 + 3 * 1 * 64,
        "styles": 3 * (2 + 2) + 3 * (2 + 1 + 1),
        "filters": 16 * 1 * 64 + 4 * 3 * 64,
    }


def test_tasks_take_turns(driver):
    seen = []
    tasks = {name: (lambda name=name: seen.append(name)) for name in "ab"}
    seconds = driver.timed(tasks, 2, driver.torch.device("cpu"))
    assert seen == list("aabbaabb"), "two rounds, each run after one that is not measured"
    assert all(len(rounds) == 2 and min(rounds) >= 0 for rounds in seconds.values())
