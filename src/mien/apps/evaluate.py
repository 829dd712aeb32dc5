"""`mien evaluate PROTOCOL`: measure bundles and other drivers, and write what came out as JSON and as a page."""

from __future__ import annotations

import difflib
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from mien.apps.instruments import InstrumentOptions, Names, build_drivers, build_instruments
from mien.apps.screen import progress_bar, say, show_table, warn
from mien.errors import InputError

if TYPE_CHECKING:
    from mien.benchmark import Report

PROTOCOLS = {
    "heads": "rendered people, judged against the true picture and the true parameters",
}


@dataclass(frozen=True, kw_only=True)
class Common:
    """What all protocols share."""

    bundle: str = "avatar"
    """Name or folder of the bundle that is measured."""
    driver: Names = ()
    """Others in the same run: a bundle, NAME=BUNDLE, or MODULE:FACTORY of your own; may be given several times."""
    json: Path | None = None
    """File for all numbers."""
    html: Path | None = None
    """File for the page with tables, plots and pictures; it needs no other file."""
    fast: bool = False
    """A small run: says whether all works, not how well."""
    device: str = "auto"
    """Where bundles run: cpu, cuda, cuda:N, mps or auto."""
    instruments: tyro.conf.OmitArgPrefixes[InstrumentOptions] = field(default_factory=InstrumentOptions)


@dataclass(frozen=True, kw_only=True)
class Heads(Common):
    """Reenact rendered people whose true answer is known, and compare with it.

    The people were never used in training. Half of the pairs show one person twice, half two people; the true picture
    of the second kind is the source's own scene rendered with the driver's pose, expression and gaze.
    """

    pairs: int = 200
    """How many pairs; --fast takes 20."""
    seed: int = 0
    """Another seed is other people. Published numbers are those of seed 0."""
    size: int = 256
    """Side at which everything is measured, in pixels."""
    cache: Path = Path("mien-benchmark")
    """Folder in which rendered pairs are kept for the next run."""
    study: Path | None = None
    """Also write a page for a user study (needs two drivers), and beside it the key that tells who made what."""


def run(words: Sequence[str]) -> None:
    """Parse the words after `mien evaluate` and do it."""
    if not words or words[0] in ("-h", "--help"):
        say("usage: mien evaluate PROTOCOL [options]      (mien evaluate PROTOCOL --help lists them)\n")
        for name, summary in PROTOCOLS.items():
            say(f"  {name:<12}{summary}")
        return
    if words[0] not in PROTOCOLS:
        close = difflib.get_close_matches(words[0], PROTOCOLS, 1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(PROTOCOLS)}"
        raise InputError(f"unknown protocol {words[0]!r}; {hint}")
    _RUNS[words[0]](words[1:])


def _heads(words: Sequence[str]) -> None:
    given = tyro.cli(Heads, args=list(words), prog="mien evaluate heads", config=(tyro.conf.FlagCreatePairsOff,))

    from mien.benchmark import CopyDriver, CopySource, HeadsConfig, heads_report, measure_heads, render_pairs
    from mien.benchmark.heads import FAST_PAIRS

    _check_outputs(given, study=given.study)
    config = HeadsConfig(seed=given.seed, size=given.size, pairs=FAST_PAIRS if given.fast else given.pairs)
    instruments = build_instruments(given.instruments)
    drivers = [*build_drivers(given.bundle, given.driver, given.device), CopySource(), CopyDriver()]
    folder = given.cache / f"heads-{config.version}-{config.seed}-{config.size}"
    with progress_bar("render pairs") as update:
        pairs = render_pairs(config, folder, update)
    with progress_bar("measure") as update:
        measured = measure_heads(drivers, pairs, instruments, update)
    about = {
        "protocol": f"heads, version {config.version}, seed {config.seed}, {config.pairs} pairs, {config.size} px",
        "pictures sha256": pairs.sha256(),
        "reid-0095": "face-reidentification-retail-0095 (Intel)",
        "framing of results": ", ".join(f"{driver.name}: {driver.framing}" for driver in drivers),
    }
    _finish(given, heads_report(measured, pairs, instruments, about | _versions()))


def _check_outputs(given: Common, **more: Path | None) -> None:
    from mien.media import check_output

    places = {"json": (given.json, ".json"), "html": (given.html, ".html")}
    places |= {name: (path, ".html") for name, path in more.items()}
    for path, suffix in places.values():
        if path is not None:
            check_output(path, (suffix,))


def _versions() -> dict[str, str]:
    import torch

    from mien import __version__

    return {"versions": f"mien {__version__}, torch {torch.__version__}, Python {platform.python_version()}"}


def _finish(given: Common, report: Report) -> None:
    """Show the first table, write the files."""
    from mien.benchmark.report import page, write_json, write_text

    table = report.tables[0]
    show_table(table.title, table.columns, table.rows)
    if given.json is not None:
        write_json(report, given.json)
    if given.html is not None:
        write_text(given.html, page(report))
    warn([report.about["absent"]] if report.about.get("absent", "nothing") != "nothing" else [])
    say(", ".join(str(path) for path in (given.json, given.html) if path is not None) or report.title)


_RUNS = {"heads": _heads}
