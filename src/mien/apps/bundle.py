"""`mien bundle OUT`: collect finished training runs into a bundle that `reenact --bundle OUT` can load."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tyro

from mien.apps.screen import say
from mien.training.assemble import Assembly, assemble


def _options(output: tyro.conf.Positional[Path], plan: tyro.conf.OmitArgPrefixes[Assembly]) -> tuple[Path, Assembly]:
    """Collect the averaged networks of finished training runs into a bundle.

    Args:
        output: folder to write; an older bundle there is replaced.
        plan: where the parts come from.
    """
    return output, plan


def run(words: Sequence[str]) -> None:
    """Parse the words after `mien bundle` and do it."""
    output, plan = tyro.cli(_options, args=words, prog="mien bundle")
    say(f"{assemble(plan, output)}: {sum(f.stat().st_size for f in output.iterdir()) / 2**20:.1f} MiB")
