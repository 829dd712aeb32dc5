"""`mien evaluate PROTOCOL`: measure bundles and other drivers, and write what came out as JSON and as a page."""

from __future__ import annotations

import difflib
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import tyro

from mien.apps.instruments import InstrumentOptions, Names, build_drivers, build_instruments
from mien.apps.screen import progress_bar, say, show_table, warn
from mien.errors import InputError

if TYPE_CHECKING:
    from mien.benchmark import HeadPairs, HeadsConfig, Instruments, Measured, Report
    from mien.benchmark.videos import VideoProtocol

Given = TypeVar("Given", bound="Common")
FAST_SOURCES = 3
STUDY_PAIRS = 24

PROTOCOLS = {
    "heads": "rendered people, judged against the true picture and the true parameters",
    "self": "real videos: the first frame of each, driven by all its frames",
    "cross": "real videos: the first frame of one person, driven by another",
    "large-pose": "real videos: frames that are turned far from the first",
    "tally": "count the answers to a user study (mien evaluate heads --study)",
    "linearity": "single coordinates swept over their range: slope, correlation, cross-talk, identity",
}


@dataclass(frozen=True, kw_only=True)
class Common:
    """What all protocols share."""

    bundle: str = "avatar"
    """Name or folder of the bundle that is measured."""
    driver: Names = ()
    """Another in the same run, may be given several times: another method of the bundle (directions, one-shot,
    stylemask, stylemask/6 for its first six layers, stylemask-refined, tuned: directions with the generator tuned to
    each source by 200 steps, tuned/50 by fifty), a bundle, BUNDLE@METHOD, NAME=BUNDLE, MODULE:FACTORY of your own, or a
    baseline with the bundle's generator and codes: sefa (factors of the style weights), regression (of
    codes)."""
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
    people: Path | None = None
    """Pack of photographed people (mien fit): show its held-out people instead of drawn ones."""
    study: Path | None = None
    """Also write a page for a user study of the first 24 pairs, and beside it the key that tells who made what."""


@dataclass(frozen=True, kw_only=True)
class Videos(Common):
    """Reenact real videos and compare with what a tracker reads off the driver.

    The folder holds one folder for each person (person/video/chunk.mp4 or frames), as VoxCeleb does. In `self` and
    `large-pose` the driver's frames are the true pictures; in `cross` there are none.
    """

    videos: tyro.conf.Positional[Path]
    """Folder of videos."""
    frames: int = 64
    """Frames of each video at most; --fast takes 8. 0 takes all."""
    cross_pairs: int = 35
    """Pairs of the protocol cross; --fast takes 4."""
    size: int = 256
    """Side at which everything is measured, in pixels."""
    seed: int = 0
    """Of the draw of pairs."""


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Count what people chose in a user study."""

    key: tyro.conf.Positional[Path]
    """The study's key (.key.json)."""
    answers: tyro.conf.Positional[tuple[Path, ...]]
    """Files that participants saved."""


@dataclass(frozen=True, kw_only=True)
class Linearity(Common):
    """Sweep each coordinate of rendered sources over its working range and read all coordinates off the results."""

    sources: int = 20
    """How many people; --fast takes 3."""
    steps: int = 9
    """Values over the range."""
    size: int = 256
    """Side of the sources in pixels."""
    cache: Path = Path("mien-benchmark")
    """Folder in which rendered people are kept for the next run."""


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
    given = _parsed(Heads, "heads", words)

    from mien.benchmark import CopyDriver, CopySource, HeadsConfig, heads_report, measure_heads, render_pairs
    from mien.benchmark.heads import FAST_PAIRS
    from mien.benchmark.people import STUDIOS, photographed

    _check_outputs(given, study=given.study)
    if given.study is not None and not given.driver:
        raise InputError("a study compares two drivers; name the second with --driver")
    studios = STUDIOS if given.people is None else photographed(given.people)
    count = FAST_PAIRS if given.fast else given.pairs
    config = HeadsConfig(version=next(iter(studios)), seed=given.seed, size=given.size, pairs=count)
    instruments = build_instruments(given.instruments)
    drivers = [*build_drivers(given.bundle, given.driver, given.device), CopySource(), CopyDriver()]
    with progress_bar("render pairs") as update:
        pairs = render_pairs(config, _heads_folder(given.cache, config), update, studios)
    with progress_bar("measure") as update:
        measured = measure_heads(drivers, pairs, instruments, update)
    if given.study is not None:
        _write_study(given.study, measured, pairs)
    about = {
        "protocol": f"heads, version {config.version}, seed {config.seed}, {config.pairs} pairs, {config.size} px",
        "pictures sha256": pairs.sha256(),
        "framing of results": ", ".join(f"{driver.name}: {driver.framing}" for driver in drivers),
    }
    _finish(given, heads_report(measured, pairs, instruments, about | _instrument_names(instruments) | _versions()))


def _write_study(place: Path, measured: Measured, pairs: HeadPairs) -> None:
    """The page of a study and, beside it, its key; results of the bundles only, not of copies."""
    from mien.benchmark.heads_report import REFERENCES
    from mien.benchmark.report import write_text
    from mien.benchmark.study import Trial, make_study

    trials = []
    for pair in islice(pairs, STUDY_PAIRS):
        made = {name: picture for (name, index), picture in measured.results.items() if index == pair.index}
        results = {name: picture for name, picture in made.items() if name not in REFERENCES}
        context = {"person": pair.source, "driver": pair.driver}
        trials.append(Trial(label=str(pair.index), context=context, results=results))
    study = make_study(trials, f"mien: {place.stem}")
    write_text(place, study.html)
    write_text(place.with_suffix(".key.json"), json.dumps(study.key, indent=1) + "\n")


def _tally(words: Sequence[str]) -> None:
    given = tyro.cli(Tally, args=list(words), prog="mien evaluate tally")

    from mien.benchmark.study import read_answers, tally, tally_table

    key = read_answers(given.key)
    if "trials" not in key:
        raise InputError(f"{given.key}: these are answers; name the key of the study first")
    table = tally_table(tally(key, [read_answers(path) for path in given.answers]))
    show_table(table.title, table.columns, table.rows)


def _videos(protocol: VideoProtocol, words: Sequence[str]) -> None:
    given = _parsed(Videos, protocol, words)

    from mien.benchmark import CopySource, VideoSettings, find_clips, measure_videos, videos_report

    _check_outputs(given)
    frames = 8 if given.fast else given.frames or None
    pairs = 4 if given.fast else given.cross_pairs
    settings = VideoSettings(frames=frames, cross_pairs=pairs, size=given.size, seed=given.seed)
    clips = find_clips(given.videos)
    instruments = build_instruments(given.instruments)
    drivers = [*build_drivers(given.bundle, given.driver, given.device), CopySource()]
    with progress_bar("measure") as update:
        measured = measure_videos(protocol, drivers, clips, instruments, settings, update)
    words = (
        f"{protocol}, {len(clips)} videos, up to {frames or 'all'} frames of each, {given.size} px, seed {given.seed}"
    )
    about = {"protocol": words, **_instrument_names(instruments), **_versions()}
    _finish(given, videos_report(measured, protocol, instruments, about))


def _linearity(words: Sequence[str]) -> None:
    given = _parsed(Linearity, "linearity", words)

    from mien.benchmark import Editor, HeadsConfig, linearity_report, render_pairs, sweep_sources

    _check_outputs(given)
    config = HeadsConfig(size=given.size, pairs=FAST_SOURCES if given.fast else given.sources)
    (editor,) = build_drivers(given.bundle, given.driver, given.device)[:1]
    if given.driver or not isinstance(editor, Editor):
        raise InputError("linearity measures one bundle; name it with --bundle")
    instruments = build_instruments(given.instruments)
    with progress_bar("render people") as update:
        pairs = render_pairs(config, _heads_folder(given.cache, config), update)
    with progress_bar("sweep") as update:
        straight_first = sorted(pairs, key=lambda pair: float(pair.source_face.angles.abs().sum()))
        sources = [pair.source for pair in straight_first]
        sweeps, shown = sweep_sources(editor, sources, instruments, given.steps, update)
    about = {"protocol": f"linearity, {len(pairs)} sources of heads {config.version}, {given.steps} steps"}
    about |= {"bundle": editor.name, **_instrument_names(instruments), **_versions()}
    _finish(given, linearity_report(sweeps, shown, instruments, editor.ranges(), about))


def _parsed(arguments: type[Given], name: str, words: Sequence[str]) -> Given:
    return tyro.cli(arguments, args=list(words), prog=f"mien evaluate {name}", config=(tyro.conf.FlagCreatePairsOff,))


def _heads_folder(cache: Path, config: HeadsConfig) -> Path:
    return cache / f"heads-{config.version}-{config.seed}-{config.size}"


def _check_outputs(given: Common, **more: Path | None) -> None:
    from mien.media import check_output

    places = {"json": (given.json, ".json"), "html": (given.html, ".html")}
    places |= {name: (path, ".html") for name, path in more.items()}
    for path, suffix in places.values():
        if path is not None:
            check_output(path, (suffix,))


def _instrument_names(instruments: Instruments) -> dict[str, str]:
    long_names = {"reid-0095": "reid-0095 (face-reidentification-retail-0095, Intel)"}
    return {
        "trackers that measure": ", ".join(judge.name for judge in instruments.judges),
        "identity networks": ", ".join(long_names.get(name, name) for name in instruments.identities) or "none",
        "perceptual distances": ", ".join(instruments.distances) or "none",
        "absent": "; ".join(instruments.absent) or "nothing",
    }


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


_RUNS: Mapping[str, Callable[[Sequence[str]], None]] = {
    "heads": _heads,
    "self": partial(_videos, "self"),
    "cross": partial(_videos, "cross"),
    "large-pose": partial(_videos, "large-pose"),
    "linearity": _linearity,
    "tally": _tally,
}
