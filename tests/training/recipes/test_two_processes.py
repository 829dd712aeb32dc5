"""Refinement and mapping network: two processes learn what one does from the same batches."""

import json
import os
import subprocess
import sys

import pytest
import torch

from mien.training.parts import load_weights

SCRIPT = """
import importlib, json, sys
from pathlib import Path
from mien.training.engine import RunConfig

name, out, devices, given = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
recipe = importlib.import_module(f"mien.training.recipes.{name}")
given = {key: Path(value) if isinstance(value, str) else value for key, value in given.items()}
config = {"feature": "FeatureRecipe", "mapping": "MappingRecipe"}[name]
recipe.train(getattr(recipe, config)(**given), RunConfig(out=out, steps=2, device="cpu", devices=devices,
             precision="32-true", sample_every=0, record_every=1))
"""
SETTINGS = {
    "feature": {"batch": 8, "photographs": 0.0, "layer": 16, "width": 8},
    "mapping": {"batch": 12, "projections": 16},
}


@pytest.mark.multi
@pytest.mark.parametrize("name", list(SETTINGS))
def test_two_processes_equal_one(trained, toy_heads, data_pack, tmp_path, name):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    given = SETTINGS[name] | {"data": str(toy_heads)} | {k: str(trained["generator"]) for k in ("generator", "encoder")}
    if name == "feature":
        given |= {k: str(trained[k]) for k in ("identity", "tracker")}
    for devices in (1, 2):
        words = [sys.executable, script, name, tmp_path / f"run{devices}", devices, json.dumps(given)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=300, env=environment)
        assert done.returncode == 0, done.stderr[-2000:]
    network = {"feature": "feature", "mapping": "generator"}[name]
    one, two = (load_weights(tmp_path / f"run{devices}", network) for devices in (1, 2))
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, rtol=1e-3, atol=1e-4)
