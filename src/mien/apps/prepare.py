"""`mien prepare voxceleb OUT --metadata FOLDER --videos FOLDER`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from mien.apps.arguments import Tracker
from mien.apps.screen import progress_bar, say, warn
from mien.errors import InputError

if TYPE_CHECKING:
    from mien.data.metadata import VideoTask
    from mien.data.prepare import PrepareConfig, Report

USAGE = """usage: mien prepare voxceleb OUT [--metadata PATH] [--videos FOLDER] [--clips FOLDER] [options]
       mien prepare voxceleb --help

Turn videos of talking people into a training set: chunks, cropped frames, parameters, latent codes."""
NUM_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Turn the videos of VoxCeleb, or clips like them, into a training set; the same command again goes on.

    Videos that are not here are listed in a plan for yt-dlp, OUT/download, which is carried out only with --download.
    With neither metadata nor clips, what OUT holds already is completed: frames that the authors' tools cropped get
    parameters, and latent codes with --latents. What is left out is listed in OUT/report.json with its reason.
    """

    out: tyro.conf.Positional[Path]
    """The set: <person>/<video>/{chunk_videos,frames_cropped,params,inversion}."""
    metadata: Path | None = None
    """Annotations of VoxCeleb1 or 2 (<person>/<video>/<utterance>.txt), or a table of chunks (vox-metadata.csv)."""
    videos: Path | None = None
    """Where the long videos lie, <video>.mp4; default OUT/videos."""
    clips: Path | None = None
    """Clips that are cut already: <person>#<video>#<start>#<end>.mp4 or <person>/<video>/<utterance>.mp4."""
    download: bool = False
    """Carry the plan out with yt-dlp, if it is installed; the videos' own terms apply."""
    people: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Only these people; may be given several times."""
    limit: int | None = None
    """Only the first so many videos."""
    crop: Literal["auto", "voxceleb", "head", "ffhq"] = "auto"
    """How frames are cropped; auto: as the bundle wants it with --latents, else voxceleb."""
    size: int = 256
    """Side of the cropped frames in pixels."""
    every: int = 25
    """Crop one frame in so many, of 25 per second."""
    no_chunks: bool = False
    """Do not write each chunk as a video of whole pictures too; then the long videos must stay."""
    latents: bool = False
    """Compute latent codes with the bundle's encoder."""
    processes: Annotated[int, tyro.conf.arg(help="Videos worked on at once; default: one per core.")] = 0
    """Videos worked on at the same time."""
    batch: int = 8
    """Frames measured together."""
    device: str = "auto"
    """cpu, cuda, cuda:N, mps or auto."""
    tracker: Tracker = "embedded"
    """What measures faces."""
    bundle: str = "avatar"
    """Name or folder of the bundle whose tracker and encoder are used."""


def run(words: Sequence[str]) -> None:
    """Parse the words after `mien prepare` and do it."""
    if not words or words[0] in ("-h", "--help"):
        say(USAGE)
        return
    if words[0] != "voxceleb":
        raise InputError(f"unknown kind of set {words[0]!r}; known: voxceleb")
    config = (tyro.conf.FlagCreatePairsOff,)
    given = tyro.cli(Arguments, args=list(words[1:]), prog="mien prepare voxceleb", config=config)

    from mien.data.prepare import prepare
    from mien.pipelines.preparing import BundleTools

    settings = _settings(given)
    tasks, videos = _tasks(given), given.videos or given.out / "videos"
    if given.metadata is not None:
        _plan(given, tasks, videos)
    tools = BundleTools(given.bundle, given.device, given.tracker, given.latents)
    with progress_bar("videos") as update:
        report = prepare(tasks, given.out, videos, tools, settings, update)
    _tell(given.out, report)


def _settings(given: Arguments) -> PrepareConfig:
    from mien.checkpoints.bundle import read_encoder
    from mien.data.prepare import PrepareConfig

    crop, encoder = given.crop, ""
    if given.latents:
        wanted, encoder = read_encoder(given.bundle)
        if crop not in ("auto", wanted):
            raise InputError(f"the encoder of {given.bundle} reads {wanted} crops, not {crop}")
        crop = wanted
    settings = PrepareConfig(
        crop="voxceleb" if crop == "auto" else crop,
        size=given.size,
        every=given.every,
        batch=given.batch,
        keep_chunks=not given.no_chunks,
        encoder=encoder,
        processes=given.processes or os.cpu_count() or 1,
    )
    settings.check()
    return settings


def _tasks(given: Arguments) -> list[VideoTask]:
    from mien.data.metadata import read_clips, read_metadata, selected
    from mien.data.prepare import tasks_in

    if given.metadata is not None and given.clips is not None:
        raise InputError("give --metadata or --clips, not both: two runs may fill the same set")
    if given.metadata is not None:
        tasks = read_metadata(given.metadata)
    else:
        tasks = tasks_in(given.out) if given.clips is None else read_clips(given.clips)
    tasks = selected(tasks, given.people, given.limit)
    if not tasks:
        raise InputError("no video is left to be prepared; --people and --limit leave none")
    return tasks


def _plan(given: Arguments, tasks: Sequence[VideoTask], videos: Path) -> None:
    from mien.data.download import run_plan, write_plan
    from mien.data.stages import is_begun

    plan = write_plan([task for task in tasks if not is_begun(task, given.out)], videos, given.out / "download")
    if not plan.videos:
        return
    if not given.download:
        missing = f"{len(plan.videos)} of {len(tasks)} videos are not here"
        warn([f"{missing}; --download fetches them, or: {shlex.join(plan.command)}"])
        return
    code = run_plan(plan)
    if code:
        warn([f"yt-dlp ended with code {code}; videos that are no longer offered cannot be fetched"])


def _tell(out: Path, report: Report) -> None:
    from mien.data.prepare import REPORT

    shown = [f"{s.person}/{s.video}{'/' + s.chunk if s.chunk else ''}: {s.reason}" for s in report.skipped]
    more = [f"… and {len(shown) - NUM_SHOWN} more, see {out / REPORT}"] if len(shown) > NUM_SHOWN else []
    warn(shown[:NUM_SHOWN] + more)
    codes = f", {report.latents} latent codes" if report.latents else ""
    words = f"{report.videos} videos, {report.chunks} chunks, {report.frames} frames{codes}"
    say(f"{out}: {words}; {len(report.skipped)} left out")
