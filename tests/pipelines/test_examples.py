"""The examples run as written, on a model of random weights."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

import mien
from mien.images import read_image, write_image
from mien.media import read_video

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def anna(fakes, tmp_path, monkeypatch) -> str:
    monkeypatch.setattr(mien, "load", lambda name: fakes.random_model(), raising=False)
    write_image(tmp_path / "anna.png", fakes.paint((40, 32), smile=0.2))
    return str(tmp_path / "anna.png")


def test_reenact(fakes, anna, tmp_path, capsys):
    driver = fakes.write_driver(tmp_path / "bob.mp4", [0.1, None, 0.9])
    main = runpy.run_path(str(EXAMPLES / "reenact.py"))["main"]
    main(anna, str(driver), str(tmp_path / "out.mp4"))
    assert [f.time_s for f in read_video(tmp_path / "out.mp4")] == [f.time_s for f in read_video(driver)]
    assert "1 of 3" in capsys.readouterr().err


def test_edit(fakes, anna, tmp_path):
    runpy.run_path(str(EXAMPLES / "edit.py"))["main"](anna, str(tmp_path / "out.png"))
    assert read_image(tmp_path / "out.png").shape == (2 * fakes.SIZE, 5 * fakes.SIZE, 3)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_examples_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 40
