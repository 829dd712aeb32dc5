"""`mien import FAMILY OUT --generator FILE …`: published weights become a bundle."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

import tyro

from mien.apps.screen import say, step_bar, warn
from mien.checkpoints.importing import FAMILIES, ImportPlan, import_bundle
from mien.checkpoints.published import listing
from mien.errors import InputError

USAGE = """usage: mien import FAMILY OUT --generator FILE --licence TEXT [--encoder FILE] [--directions FILE]
                   [--masks FILE] [--deca FILE] [options]
       mien import --list      files of each published model, where their authors offer them, and terms
       mien import FAMILY --help

Make a bundle of weights that others published; nothing in their files is executed. FAMILY:

  voxceleb  Directions, heads of VoxCeleb, 256 x 256
  ffhq      StyleMask, faces of FFHQ, 1024 x 1024
  parts     any combination; say --crop and --truncation"""


def _options(
    output: tyro.conf.Positional[Path], plan: tyro.conf.OmitArgPrefixes[ImportPlan]
) -> tuple[Path, ImportPlan]:
    """Make a bundle of weights that others published; nothing in their files is executed.

    Args:
        output: folder to write; an older bundle there is replaced.
        plan: what goes into it.
    """
    return output, plan


def run(words: Sequence[str]) -> None:
    """Parse the words after `mien import` and do it."""
    if not words or words[0] in ("-h", "--help"):
        say(USAGE)
        return
    if words[0] == "--list":
        say(listing())
        return
    family = words[0]
    if family not in FAMILIES:
        close = difflib.get_close_matches(family, FAMILIES, 1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(FAMILIES)}, or --list"
        raise InputError(f"unknown family {family!r}; {hint}")
    output, plan = tyro.cli(_options, args=list(words[1:]), prog=f"mien import {family}")
    with step_bar("import") as update:
        done = import_bundle(plan, family, output, update)
    warn(done.notices)
    size = sum(file.stat().st_size for file in output.iterdir()) / 2**20
    exact = f"; in single precision: {', '.join(sorted(done.exact))}" if done.exact else ""
    say(f"{output}: {', '.join(done.parts)}; {size:.1f} MiB{exact}")
