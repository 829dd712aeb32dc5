"""`mien render OUT`: people who do not exist, as a contact sheet or as a training set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from mien.apps.screen import say
from mien.images import PICTURE_SUFFIXES


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """Render people who do not exist side by side on one picture.

    A folder in place of the picture renders a training set: mien render FOLDER --help.
    """

    output: tyro.conf.Positional[str]
    """Picture to write."""
    count: int = 32
    """How many people."""
    seed: int = 0
    """Another seed is other people."""
    size: int = 128
    """Side of each picture in pixels."""
    columns: int = 8
    """Pictures in a row."""
    people: str | None = None
    """Pack of photographed people (`mien fit`) to mix them from."""


def run(words: Sequence[str]) -> None:
    """Parse the words after `mien render` and do it."""
    if words and not words[0].startswith("-") and not Path(words[0]).suffix:
        _render_dataset(words[0], words[1:])
        return
    given = tyro.cli(Sheet, args=words, prog="mien render")

    from mien.images import write_image
    from mien.media import check_output
    from mien.synth.contact import render_contact_sheet

    output = check_output(given.output, PICTURE_SUFFIXES)
    write_image(output, render_contact_sheet(given.count, given.seed, given.size, given.columns, given.people))
    say(f"{output}: {given.count} people")


def _render_dataset(folder: str, words: Sequence[str]) -> None:
    from mien.synth.dataset import DatasetConfig, write_dataset

    config = tyro.cli(DatasetConfig, args=words, prog=f"mien render {folder}")
    write_dataset(config, folder, show_progress=True)
    say(f"{folder}: {config.num_scenes} scenes of {config.frames_per_scene} frames")
