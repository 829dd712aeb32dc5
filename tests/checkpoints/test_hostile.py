"""Files that are hostile, broken, or something else: each is refused by name, and nothing in it runs."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import hostile_claims
import hostile_files
import hostile_parts
import numpy as np
import pickle_assembly as asm
import pytest
from hostile_parts import CANARY, state_of, zip_of

from mien.checkpoints.reader import read_foreign
from mien.errors import CheckpointError


def _cases():
    for name, case in {**hostile_files.CASES, **hostile_claims.CLAIMS}.items():
        yield pytest.param(*case, *(["a.pt"] if len(case) == 2 else []), id=name)


@pytest.fixture(autouse=True)
def watched(tmp_path, monkeypatch):
    """Afterwards: no file but the given ones, no call of the sentinel, no module that a pickle named."""
    monkeypatch.chdir(tmp_path)
    fired = []
    sentinel = types.ModuleType("hostile_sentinel")
    sentinel.fire = fired.append
    monkeypatch.setitem(sys.modules, "hostile_sentinel", sentinel)
    yield
    assert not fired
    assert not Path(CANARY).exists()
    assert "hostile_unimported" not in sys.modules and "chumpy" not in sys.modules


def _refused(path: Path, message: str) -> None:
    start = resource.getrusage(resource.RUSAGE_SELF)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_foreign(path)
    end = resource.getrusage(resource.RUSAGE_SELF)
    assert str(caught.value).startswith(f"{path}: ") and len(str(caught.value)) < len(str(path)) + 400
    assert end.ru_utime - start.ru_utime < 5


@pytest.mark.parametrize(("content", "message", "name"), [*_cases()])
def test_is_refused(content: bytes | Callable[[], bytes], message: str, name: str, tmp_path: Path):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content())
    _refused(path, message)


@pytest.mark.parametrize(
    ("module", "attribute", "argument"), hostile_files.CALLABLES, ids=lambda value: value or "none"
)
def test_no_name_reaches_python(module: str, attribute: str, argument: str, tmp_path: Path):
    call = asm.call(asm.name(module, attribute), asm.text(argument))
    for number, content in enumerate((state_of(call), zip_of(call), asm.legacy_file(call, []))):
        path = tmp_path / f"{number}.pt"
        path.write_bytes(content)
        _refused(path, "nothing was executed")


@pytest.mark.parametrize("kind", hostile_parts.every_kind())
def test_damage_anywhere_is_either_harmless_or_named(kind: str, tmp_path: Path):
    path = tmp_path / kind
    random = np.random.Generator(np.random.PCG64(len(kind)))
    whole = hostile_parts.every_kind()[kind]
    path.write_bytes(whole)
    read_foreign(path)
    refused = 0
    for _ in range(150):
        path.write_bytes(hostile_parts.damaged(whole, random))
        try:
            read_foreign(path)
        except CheckpointError as error:
            refused += 1
            assert not str(error).startswith(f"{path}: damaged ("), "a cause that the reader did not think of"
    assert refused > 50


BOUNDED = """
import json, resource, sys
from pathlib import Path
from mien.checkpoints.reader import read_foreign
from mien.errors import CheckpointError

size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 2**30, size + 2**30))
results = {}
for path in map(Path, sys.argv[1:]):
    start = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    try:
        read_foreign(path)
        outcome = "read"
    except CheckpointError as error:
        outcome = str(error)
    results[path.name] = [outcome, resource.getrusage(resource.RUSAGE_SELF).ru_utime - start]
json.dump(results, sys.stdout)
"""


def test_the_costliest_files_stay_within_a_gibibyte_and_five_seconds(tmp_path):
    for name, make in hostile_claims.COSTLY.items():
        (tmp_path / name).write_bytes(make())
    paths = [str(tmp_path / name) for name in hostile_claims.COSTLY]
    results = json.loads(subprocess.check_output([sys.executable, "-c", BOUNDED, *paths], text=True))
    assert set(results) == set(hostile_claims.COSTLY)
    for name, (outcome, seconds) in results.items():
        assert seconds < 5, (name, seconds)
        assert "MemoryError" not in outcome, name
