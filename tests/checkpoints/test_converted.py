from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mien.checkpoints import converted
from mien.checkpoints.contents import Source
from mien.checkpoints.converted import read_part, write_part
from mien.checkpoints.reader import read_foreign
from mien.errors import CheckpointError, OutputError

CONFIG = {"width": 3, "names": ["a", "ü"], "rate": 0.5, "deep": {"x": None}}
BASE = torch.arange(6.0).reshape(2, 3)
TENSORS = {"weight": BASE.t(), "shared": BASE[0], "index": torch.tensor([1, 2]), "half": BASE.half()}
SOURCE = Source("a.pkl", "0" * 64, "for tests only")


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_part(tmp_path / "part", "flame", CONFIG, TENSORS, SOURCE)


def _rewrite(folder: Path, **changes) -> None:
    header = json.loads((folder / "part.json").read_text(encoding="utf-8"))
    (folder / "part.json").write_text(json.dumps({**header, **changes}), encoding="utf-8")


def test_what_is_written_is_read_again(folder):
    part = read_part(folder, "flame")
    assert (part.kind, part.config, part.source) == ("flame", CONFIG, SOURCE)
    assert part.tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert part.tensors[name].dtype == tensor.dtype and torch.equal(part.tensors[name], tensor)


def test_the_header_tells_where_the_weights_came_from(tmp_path):
    torch.save({"x": BASE}, tmp_path / "a.pt")
    foreign = read_foreign(tmp_path / "a.pt")
    folder = write_part(tmp_path / "part", "arcface", {}, foreign.tree, foreign, "as the authors allow")
    header = json.loads((folder / "part.json").read_text(encoding="utf-8"))
    digest = hashlib.sha256((tmp_path / "a.pt").read_bytes()).hexdigest()
    assert header["source"] == {"file": "a.pt", "sha256": digest, "licence": "as the authors allow"}
    assert header["sha256"] == hashlib.sha256((folder / "part.safetensors").read_bytes()).hexdigest()
    assert (header["kind"], header["version"], header["part"]) == ("mien-part", 1, "arcface")


def test_a_licence_replaces_the_one_of_the_source(tmp_path):
    write_part(tmp_path / "part", "flame", CONFIG, TENSORS, SOURCE, "other terms")
    assert read_part(tmp_path / "part").source == Source("a.pkl", "0" * 64, "other terms")


def test_a_new_part_replaces_an_old_one_and_leaves_nothing_else(folder, tmp_path):
    write_part(folder, "flame", CONFIG, {"weight": BASE}, SOURCE)
    assert list(read_part(folder).tensors) == ["weight"]
    assert [path.name for path in tmp_path.iterdir()] == ["part"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"licence": " "}, "licence of the source"),
        ({"kind": ""}, "the kind"),
        ({"config": {"x": torch.ones(1)}}, "cannot be said in JSON"),
        ({"config": {"x": float("nan")}}, "cannot be said in JSON"),
        ({"tensors": {"x": torch.tensor([1.0, float("inf")])}}, "x has values that are not finite"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_incomplete_is_not_written(changes, message, tmp_path):
    given = {"kind": "flame", "config": CONFIG, "tensors": TENSORS, "source": SOURCE, **changes}
    if "licence" not in changes:
        given["licence"] = "terms"
    with pytest.raises(CheckpointError, match=message):
        write_part(tmp_path / "part", **{**given, "source": Source("a.pkl", "0" * 64, given.pop("licence"))})
    assert not list(tmp_path.iterdir())


def test_other_folders_and_files_are_left_alone(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("x")
    for place in (tmp_path / "other", tmp_path / "other" / "notes.txt"):
        with pytest.raises(OutputError, match=r"not a converted part|a converted part is a folder"):
            write_part(place, "flame", CONFIG, TENSORS, SOURCE)
    assert (tmp_path / "other" / "notes.txt").read_text() == "x"


def test_a_failure_while_writing_keeps_the_old_part(folder, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(converted, "save_file", fail)
    with pytest.raises(OutputError, match="No space left"):
        write_part(folder, "flame", {}, {"weight": BASE}, SOURCE)
    monkeypatch.undo()
    assert read_part(folder).config == CONFIG
    assert [path.name for path in tmp_path.iterdir()] == ["part"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "mien-bundle"}, "not the header of a converted part"),
        ({"version": 2}, "version 2 is not supported"),
        ({"extra": 1}, "unknown extra"),
        ({"config": []}, "config in part.json is not an object"),
        ({"source": "a.pkl"}, "source in part.json is not an object"),
        ({"source": {"file": "a.pkl"}}, "lacks licence, sha256"),
        ({"source": {"file": "a.pkl", "sha256": "0", "licence": ""}}, "licence of the source"),
        ({"part": 3}, "the kind of a part"),
        ({"sha256": "0" * 64}, "damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_header_that_does_not_fit_is_refused(folder, changes, message):
    _rewrite(folder, **changes)
    with pytest.raises(CheckpointError, match=message):
        read_part(folder)


def test_damaged_weights_are_refused(folder):
    path = folder / "part.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match="damaged"):
        read_part(folder)
    path.unlink()
    with pytest.raises(CheckpointError, match="missing"):
        read_part(folder)


def test_a_pickle_in_place_of_the_weights_is_refused(folder):
    data = pickle.dumps({"weight": 1})
    (folder / "part.safetensors").write_bytes(data)
    _rewrite(folder, sha256=hashlib.sha256(data).hexdigest())
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_part(folder)


def test_values_that_are_not_finite_are_refused(folder):
    path = folder / "part.safetensors"
    save_file({"weight": torch.tensor([float("nan")])}, path)
    _rewrite(folder, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(CheckpointError, match="weight has values that are not finite"):
        read_part(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000], ids=["empty", "list", "cut", "deep"])
def test_a_header_that_is_no_header_is_refused(folder, text):
    (folder / "part.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"part\.json is not"):
        read_part(folder)


def test_another_kind_and_another_place_are_refused(folder, tmp_path):
    with pytest.raises(CheckpointError, match="this is 'flame', not 'arcface'"):
        read_part(folder, "arcface")
    with pytest.raises(CheckpointError, match="no converted part"):
        read_part(tmp_path / "elsewhere")
