"""`mien prepare voxceleb`: from the words to the set, with a plan for what is not here."""

import json
import shlex

import pytest
from painted_people import OTHER, VIDEO, annotation, paint, write_video

from mien.apps.cli import main
from mien.data.voxceleb import Folder
from mien.images import write_image

FACE = (10, 20, 40)


@pytest.fixture
def world(tmp_path, fakes, monkeypatch):
    """One video that is here, one that is not; a model of random weights that reads painted faces."""
    calls = []

    def load(*given):
        calls.append(given)
        return fakes.random_model()

    monkeypatch.setattr("mien.pipelines.preparing.load", load)
    write_video(tmp_path / "videos" / f"{VIDEO}.mp4", 30, FACE)
    for person, video in (("id1", VIDEO), ("id2", OTHER)):
        file = tmp_path / "txt" / person / video / "00001.txt"
        file.parent.mkdir(parents=True)
        file.write_text(annotation(0, 20, [side * 4 for side in (10, 20, 40, 40)]))
    monkeypatch.chdir(tmp_path)
    return calls


WORDS = "prepare voxceleb set --metadata txt --videos videos --size 32 --every 10 --processes 1 --device cpu"


def test_a_set_a_plan_and_reasons(world, tmp_path, capsys):
    assert main(shlex.split(WORDS)) == 0
    shown = capsys.readouterr()
    assert shown.out.strip() == "set: 2 videos, 1 chunks, 3 frames; 1 left out"
    assert "1 of 2 videos are not here" in shown.err and "yt-dlp --ignore-config" in shown.err
    assert f"id2/{OTHER}: the video is not here" in shown.err
    assert (tmp_path / "set" / "download" / "urls.txt").read_text().endswith(f"{OTHER}\n")
    assert world == [("avatar", "cpu", "embedded")]
    folder = Folder(tmp_path / "set")
    assert folder.header["crop"] == "voxceleb" and len(folder.videos[0].frames) == 3
    assert main(shlex.split(WORDS)) == 0 and "3 frames" in capsys.readouterr().out
    (tmp_path / "videos" / f"{VIDEO}.mp4").unlink()
    assert main(shlex.split(WORDS)) == 0
    assert "1 of 2 videos are not here" in capsys.readouterr().err, "what is cut already is not fetched again"


def test_only_some(world, capsys):
    assert main(shlex.split(WORDS + " --people id1")) == 0
    shown = capsys.readouterr()
    assert "1 videos, 1 chunks" in shown.out and "not here" not in shown.err
    assert main(shlex.split(WORDS + " --people nobody")) == 2
    assert "no video is left" in capsys.readouterr().err


def test_download_only_on_request(world, tmp_path, monkeypatch, capsys):
    program = tmp_path / "bin" / "yt-dlp"
    program.parent.mkdir()
    video = tmp_path / "videos" / f"{VIDEO}.mp4"
    program.write_text(f"#!/bin/sh\n/bin/cp {video} {tmp_path}/videos/{OTHER}.mp4\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    assert main(shlex.split(WORDS + " --download")) == 0
    assert "2 chunks, 6 frames; 0 left out" in capsys.readouterr().out
    monkeypatch.setenv("PATH", str(tmp_path))
    video.unlink()
    assert main(shlex.split(WORDS.replace(" set ", " other ") + " --download")) == 2
    assert "yt-dlp is not installed" in capsys.readouterr().err


def test_latents_take_the_crop_of_the_bundle(world, tmp_path, fakes, monkeypatch, capsys):
    from mien.checkpoints import save_bundle

    save_bundle(fakes.random_bundle(), tmp_path / "tiny")
    assert main(shlex.split(WORDS + " --latents --bundle tiny --crop voxceleb")) == 2
    assert "reads head crops" in capsys.readouterr().err
    assert main(shlex.split(WORDS + " --latents --bundle tiny")) == 0
    assert "3 latent codes" in capsys.readouterr().out
    folder = Folder(tmp_path / "set")
    assert folder.header["crop"] == "head" and folder.header["encoder"].startswith("tiny ")
    assert folder.videos[0].latents().shape == (3, 6, 8)


def test_what_is_there_is_completed(world, tmp_path, capsys):
    frames = tmp_path / "set" / "id1" / VIDEO / "frames_cropped"
    frames.mkdir(parents=True)
    write_image(frames / "00_000000.png", paint(FACE)[:80, :80])
    assert main(shlex.split("prepare voxceleb set --processes 1")) == 0
    assert "1 videos, 1 chunks, 1 frames" in capsys.readouterr().out
    assert json.loads((tmp_path / "set" / "report.json").read_text())["frames"] == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("prepare nothing", "unknown kind of set"),
        ("prepare voxceleb none", "no prepared videos"),
        ("prepare voxceleb set --metadata none", "no such metadata"),
        ("prepare voxceleb set --clips none", "no clips there"),
        ("prepare voxceleb set --clips videos --metadata txt", "not both"),
        (WORDS + " --every 0", "at least 1"),
    ],
)
def test_mistakes_are_told(world, words, message, capsys, tmp_path):
    assert main(shlex.split(words)) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "set").exists()
