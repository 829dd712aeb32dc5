"""The plan names what is missing and nothing else, and is carried out only when asked for."""

import shlex

import pytest
from painted_people import OTHER, VIDEO

from mien.data.download import find_video, run_plan, write_plan
from mien.data.metadata import VideoTask
from mien.errors import MissingDataError, OutputError

TASKS = [VideoTask("id1", VIDEO), VideoTask("id2", OTHER), VideoTask("id3", OTHER)]


@pytest.mark.parametrize("place", ["{0}.mp4", "id1/{0}.webm", "id1/{0}/{0}.mkv"])
def test_videos_are_found(tmp_path, place):
    file = tmp_path / place.format(VIDEO)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    assert find_video(TASKS[0], tmp_path / "elsewhere", tmp_path) == file
    assert find_video(TASKS[1], tmp_path) is None


def test_the_plan_lists_what_is_missing_once(tmp_path):
    videos = tmp_path / "my 100% videos"
    videos.mkdir()
    (videos / f"{VIDEO}.mp4").touch()
    plan = write_plan(TASKS, videos, tmp_path / "plan")
    assert plan.videos == (OTHER,)
    assert plan.batch.read_text() == f"https://www.youtube.com/watch?v={OTHER}\n"
    options = shlex.split(plan.config.read_text())
    assert options[options.index("--output") + 1] == f"{tmp_path}/my 100%% videos/%(id)s.%(ext)s"
    assert options[options.index("--batch-file") + 1] == str(plan.batch)


def test_the_plan_is_run_by_yt_dlp(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "yt-dlp"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/words\nexit 3\n')
    program.chmod(0o755)
    plan = write_plan(TASKS, tmp_path / "videos", tmp_path / "plan")
    monkeypatch.setenv("PATH", str(program.parent))
    assert run_plan(plan) == 3
    assert (tmp_path / "words").read_text().split() == plan.command[1:]


def test_without_yt_dlp_the_plan_stays(tmp_path, monkeypatch):
    plan = write_plan(TASKS, tmp_path / "videos", tmp_path / "plan")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDataError, match=r"not installed; the plan is .*yt-dlp\.conf"):
        run_plan(plan)


def test_an_unwritable_place_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        write_plan(TASKS, tmp_path / "videos", tmp_path / "file" / "plan")
