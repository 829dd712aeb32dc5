"""Which videos are not here, and the plan by which yt-dlp fetches them; it is run only when asked to."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mien.data.metadata import CLIP_SUFFIXES, VideoTask
from mien.errors import MissingDataError, OutputError
from mien.media.writer import partial_path

PROGRAM = "yt-dlp"
FORMAT = "bv*[height<=1080][ext=mp4]/b[ext=mp4]/bv*[height<=1080]/b"
"""Pictures without sound where they are offered so: sound is not used."""


@dataclass(frozen=True)
class DownloadPlan:
    """What is missing and how to fetch it.

    Attributes:
        videos: names of the missing videos.
        config: file of options; `yt-dlp --config-locations CONFIG` carries the plan out.
        batch: file of addresses, one per line.
    """

    videos: tuple[str, ...]
    config: Path
    batch: Path

    @property
    def command(self) -> list[str]:
        """The command that carries the plan out; repeated, it goes on where it stopped."""
        return [PROGRAM, "--ignore-config", "--config-locations", str(self.config)]


def find_video(task: VideoTask, *folders: Path) -> Path | None:
    """The local file of a video: VIDEO.* in one of the folders, or in a folder of its person or its own there."""
    for folder in folders:
        for place in (folder, folder / task.person, folder / task.person / task.video):
            for suffix in CLIP_SUFFIXES:
                if (file := place / (task.video + suffix)).is_file():
                    return file
    return None


def write_plan(tasks: Iterable[VideoTask], videos: Path, folder: Path) -> DownloadPlan:
    """Write the plan for all videos that are not here.

    Args:
        tasks: the videos that are needed.
        videos: where the videos lie and where yt-dlp is to put the others.
        folder: for `urls.txt` and `yt-dlp.conf`; made if absent.

    Raises:
        OutputError: the files cannot be written.
    """
    missing = dict.fromkeys(task.video for task in tasks if find_video(task, videos) is None)
    plan = DownloadPlan(tuple(missing), folder / "yt-dlp.conf", folder / "urls.txt")
    addresses = [f"https://www.youtube.com/watch?v={video}\n" for video in missing]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(plan.batch, "".join(addresses))
        _write(plan.config, _options(plan.batch, videos))
    except OSError as error:
        raise OutputError(f"{folder}: the download plan cannot be written there ({error.strerror})") from error
    return plan


def run_plan(plan: DownloadPlan) -> int:
    """Fetch the missing videos with yt-dlp, which shows its own progress; returns its exit code.

    A code other than 0 is common: many videos of VoxCeleb are no longer offered.

    Raises:
        MissingDataError: yt-dlp is not installed.
    """
    if shutil.which(PROGRAM) is None:
        raise MissingDataError(f"{PROGRAM} is not installed; the plan is {plan.config}: {shlex.join(plan.command)}")
    return subprocess.run(plan.command, check=False).returncode


def _options(batch: Path, videos: Path) -> str:
    """yt-dlp splits its files of options like a shell; a per cent sign in its names begins a field."""
    pattern = str(videos.resolve()).replace("%", "%%") + os.sep + "%(id)s.%(ext)s"
    options = {
        "--batch-file": str(batch.resolve()),
        "--output": pattern,
        "--format": FORMAT,
        "--sleep-interval": "2",
        "--max-sleep-interval": "8",
    }
    switches = "--ignore-errors\n--no-playlist\n--no-overwrites\n--continue\n"
    return "".join(f"{name} {shlex.quote(value)}\n" for name, value in options.items()) + switches


def _write(path: Path, text: str) -> None:
    partial = partial_path(path)
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
