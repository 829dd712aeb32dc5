"""`mien fit PORTRAITS -o people.npz`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from mien.apps.arguments import Output
from mien.apps.screen import progress_bar, say, warn


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Take portraits apart into a pack of people whom `mien render --people` puts into other poses and places.

    Every fifth portrait, in the order of file names, is kept for held-out renders. Needs MediaPipe and its model file.
    """

    portraits: tyro.conf.Positional[str]
    """Folder of portraits, one whole head each."""
    output: Output
    """The pack: an .npz file."""
    skip: tuple[str, ...] = ()
    """Names (without suffix) of portraits to leave out."""


def run(words: Sequence[str]) -> None:
    """Parse the words after `mien fit` and do it."""
    given = tyro.cli(Arguments, args=words, prog="mien fit")

    from mien.pipelines.taking import fit_people
    from mien.tracking.mediapipe import MediaPipeTracker

    with progress_bar(Path(given.output).name) as update:
        report = fit_people(MediaPipeTracker(), given.portraits, given.output, skip=given.skip, progress=update)
    warn(report.refused)
    say(f"{given.output}: {report.taken} people, {report.held_out} of them held out; {len(report.refused)} refused")
