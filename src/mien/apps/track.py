"""`mien track VIDEO -o params.npz`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from mien.apps.arguments import Output, Tracker, read_face
from mien.apps.screen import progress_bar, say


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Measure pose, expression and landmarks of a face in every frame of a video, folder of pictures, or photo."""

    video: tyro.conf.Positional[str]
    """What to measure."""
    output: Output
    """Result: an .npz file with angles_rad, expression, landmarks_px, valid, score and time stamps."""
    face: str = "largest"
    """Which face to follow: left, right, largest or its number from the left (0, 1, ...)."""
    batch: int = 8
    """Frames measured together."""
    device: str = "auto"
    """cpu, cuda, cuda:N, mps or auto."""
    tracker: Tracker = "embedded"
    """What measures faces."""
    bundle: str = "avatar"
    """Name or folder of the bundle whose tracker is used."""


def run(words: Sequence[str]) -> None:
    """Parse the words after `mien track` and do it."""
    given = tyro.cli(Arguments, args=words, prog="mien track")
    face = read_face(given.face)

    from mien.pipelines import load, track_video
    from mien.tracking import load_tracker

    if given.tracker == "embedded":
        tracker = load(given.bundle, given.device).tracker
    else:
        tracker = load_tracker(given.tracker)
    with progress_bar(Path(given.output).name) as update:
        params = track_video(tracker, given.video, given.output, face, given.batch, update)
    say(f"{given.output}: {len(params)} frames, a face in {int(params.valid.sum())} of them")
