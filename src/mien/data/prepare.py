"""Preparing VoxCeleb: videos → chunks → cropped frames with their parameters → latent codes.

The unit of work is a video, so videos run side by side in several processes; the unit of resuming is a chunk. A chunk
is done when its labels are there, which are written last; every file appears whole or not at all; so a run may be
killed at any moment, and giving the same command again goes on. What cannot be used (a video that is not here or
broken, an annotation that makes no sense, a chunk without a face) is skipped and listed in `report.json` with its
reason.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

import cv2
import torch

from mien.alignment.crop import CROPS
from mien.data.cutting import Framing
from mien.data.metadata import VideoTask
from mien.data.stages import Place, Skipped, Tools, VideoReport, prepare_video
from mien.data.voxceleb import HEADER, KIND, LATENTS, VERSION, Folder, read_header
from mien.errors import InputError, MienError, OutputError
from mien.media.writer import partial_path

REPORT = "report.json"
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """How a set is prepared.

    Attributes:
        crop: kind of crop, a key of `mien.alignment.CROPS`.
        size: side of the cropped frames in pixels.
        every: one frame in so many is cropped, at 25 per second; the authors' tools take one per second.
        batch: frames measured, and codes computed, together.
        keep_chunks: write each chunk as a video of whole pictures too, so that the long videos can be deleted.
        encoder: names the encoder of the latent codes; empty: no codes.
        processes: videos that are worked on at the same time.
    """

    crop: str = "voxceleb"
    size: int = 256
    every: int = 25
    batch: int = 8
    keep_chunks: bool = True
    encoder: str = ""
    processes: int = 1

    def check(self) -> None:
        """Refuse what makes no sense.

        Raises:
            InputError: a number below 1, or an unknown kind of crop.
        """
        if min(self.size, self.every, self.batch, self.processes) < 1:
            raise InputError("size, every, batch and processes are at least 1")
        if self.crop not in CROPS:
            raise InputError(f"unknown crop {self.crop!r}; known: {', '.join(CROPS)}")

    def content(self) -> dict[str, object]:
        """What decides the pixels, as it is stored in `prepared.json`."""
        names = ("crop", "size", "every")
        return {"kind": KIND, "version": VERSION} | {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Report:
    """What was done.

    Attributes:
        videos: how many were gone through.
        chunks, frames, latents: how many are ready now, earlier runs included.
        skipped: what was left out and why.
    """

    videos: int = 0
    chunks: int = 0
    frames: int = 0
    latents: int = 0
    skipped: tuple[Skipped, ...] = field(default=())


def prepare(
    tasks: Sequence[VideoTask],
    root: Path,
    videos: Path | None,
    make_tools: Callable[[], Tools],
    config: PrepareConfig | None = None,
    progress: Progress | None = None,
) -> Report:
    """Prepare videos, going on where an interrupted run stopped; the report is also written to `root/report.json`.

    Args:
        tasks: what the metadata speak of, or `tasks_in(root)` to complete what is there.
        root: the set; made if absent. One of the authors' tools is completed: frames without parameters are measured.
        videos: folder of the long videos, `<video>.mp4`; None: there are only chunks.
        make_tools: makes what measures and encodes, once per process; it is sent there, so it must be picklable.
        progress: called after each video with their number so far and in all.

    Raises:
        InputError: a config that makes no sense.
        OutputError: the set was prepared in another way, or cannot be written.
        MienError: whatever `make_tools` raises, or a process that ends abruptly.
    """
    config = config or PrepareConfig()
    config.check()
    _claim(root, config)
    place = Place(root, videos, Framing(config.crop, config.size, config.every, config.batch), config.keep_chunks)
    total = Report()
    for done in _all(tasks, place, make_tools, config.processes):
        total = _added(total, done)
        if progress is not None:
            progress(total.videos, len(tasks))
    _write_json(root / REPORT, asdict(total))
    return total


def tasks_in(root: Path) -> list[VideoTask]:
    """The videos that a set has already, to be completed without metadata.

    Raises:
        InputError: there are none.
    """
    return [VideoTask(video.person, video.video) for video in Folder(root)]


def _all(
    tasks: Sequence[VideoTask], place: Place, make_tools: Callable[[], Tools], processes: int
) -> Iterator[VideoReport]:
    """Reports in the order in which videos are done; memory does not grow with their number."""
    if processes == 1 or len(tasks) < 2:
        tools = make_tools()
        yield from (prepare_video(task, place, tools) for task in tasks)
        return
    waiting, running = iter(tasks), set[Future[VideoReport]]()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(tasks)), context, _start_worker, (make_tools,)) as pool:
        try:
            while True:
                fresh = islice(waiting, 2 * processes - len(running))
                running |= {pool.submit(_work, task, place) for task in fresh}
                if not running:
                    return
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in finished)
        except BrokenProcessPool as error:
            advice = "was it out of memory? Give the same command again, perhaps with fewer processes"
            raise MienError(f"a process that prepared videos ended abruptly; {advice}") from error
        finally:
            pool.shutdown(cancel_futures=True)


_worker: dict[str, Callable[[], Tools]] = {}
_made: dict[str, Tools] = {}


def _start_worker(make_tools: Callable[[], Tools]) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    _worker["make"] = make_tools


def _work(task: VideoTask, place: Place) -> VideoReport:
    if "tools" not in _made:  # not in `_start_worker`, whose errors would only break the pool
        _made["tools"] = _worker["make"]()
    return prepare_video(task, place, _made["tools"])


def _added(total: Report, done: VideoReport) -> Report:
    return Report(
        total.videos + 1,
        total.chunks + done.chunks,
        total.frames + done.frames,
        total.latents + done.latents,
        total.skipped + done.skipped,
    )


def _claim(root: Path, config: PrepareConfig) -> None:
    """Write the header of a set; refuse one that was prepared in another way, which would mix two kinds of crops.

    A set of the authors' tools is taken for one of this config: what its crops are is written nowhere.
    """
    header = read_header(root)
    stored = dict(header or {})
    encoder = stored.pop("encoder", "")
    if header is not None and stored != config.content():
        raise OutputError(f"{root} was prepared with {_words(stored)}, not {_words(config.content())}")
    has_codes = next(root.glob(f"*/*/{LATENTS.as_posix()}/*.npy"), None) is not None if config.encoder else False
    if has_codes and encoder != config.encoder:
        raise OutputError(f"{root} holds latent codes of another encoder; delete {LATENTS} there or leave out new ones")
    _write_json(root / HEADER, config.content() | {"encoder": config.encoder or encoder})


def _words(content: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in content.items() if name not in ("kind", "version"))


def _write_json(path: Path, content: dict[str, object]) -> None:
    partial = partial_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot write there ({error.strerror})") from error
    finally:
        partial.unlink(missing_ok=True)
