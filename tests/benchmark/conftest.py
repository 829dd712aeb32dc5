from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def painted():
    """Painted people, their tracker and their drivers."""
    path = Path(__file__).with_name("painted.py")
    spec = importlib.util.spec_from_file_location("mien_test_painted", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
