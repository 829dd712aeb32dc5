from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def fakes():
    """The fakes of the pipelines' tests: painted faces and random weights."""
    path = Path(__file__).parents[1] / "pipelines" / "fakes.py"
    spec = importlib.util.spec_from_file_location("mien_test_fakes", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def loaded(fakes, monkeypatch) -> list:
    """`mien.load` gives a model of random weights; the list records how it was called."""
    calls = []

    def load(*given):
        calls.append((given, fakes.random_model()))
        return calls[-1][1]

    monkeypatch.setattr("mien.pipelines.load", load)
    return calls
