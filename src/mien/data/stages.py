"""The stages through which one video goes, each of which takes up what is there already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from mien.data.cutting import Footage, Framing, Measure, crop_chunk, cut_chunk
from mien.data.download import find_video
from mien.data.labels import ChunkLabels, join_labels, save_whole, write_labels
from mien.data.metadata import Chunk, VideoTask
from mien.data.voxceleb import CHUNKS, FRAMES, PARAMS, FrameFile, VideoFolder
from mien.errors import InputError, OutputError
from mien.face3d.params import FaceParams
from mien.images import read_image
from mien.media import probe_video

NOT_HERE = "the video is not here"


@dataclass(frozen=True)
class Tools:
    """What is lent by higher floors.

    Attributes:
        measure: finds and measures faces.
        encode: B cropped frames and their parameters → W+ codes (B, L, D), not truncated; None: no codes.
    """

    measure: Measure
    encode: Callable[[Sequence[np.ndarray], FaceParams], np.ndarray] | None = None


@dataclass(frozen=True)
class Place:
    """Where videos lie and what becomes of them.

    Attributes:
        root: the set.
        videos: folder of the long videos, or None.
        framing: how frames are cropped.
        keep_chunks: whether chunks are written as videos too.
    """

    root: Path
    videos: Path | None
    framing: Framing
    keep_chunks: bool


@dataclass(frozen=True)
class Skipped:
    """Something that was left out: a chunk, or a whole video where `chunk` is empty."""

    person: str
    video: str
    chunk: str
    reason: str


@dataclass(frozen=True)
class VideoReport:
    """What is ready of one video, and what was left out."""

    chunks: int
    frames: int
    latents: int
    skipped: tuple[Skipped, ...]


def is_begun(task: VideoTask, root: Path) -> bool:
    """Whether something of a video is in the set already."""
    folder = root / task.person / task.video
    return any(next((folder / name).glob("[!.]*"), None) is not None for name in (CHUNKS, PARAMS, FRAMES))


def prepare_video(task: VideoTask, place: Place, tools: Tools) -> VideoReport:
    """Cut, crop, measure and encode one video.

    Raises:
        OutputError: the set cannot be written.
    """
    reasons: dict[str, str] = {}
    folder = VideoFolder(task.person, task.video, place.root / task.person / task.video)
    try:
        labels = _label(task, folder, place, tools.measure, reasons)
        latents = _encode(folder, labels, tools, place.framing.batch)
    except InputError as error:
        return VideoReport(0, 0, 0, (Skipped(task.person, task.video, "", str(error)),))
    except OSError as error:
        raise OutputError(f"{folder.path}: cannot write there ({error.strerror})") from error
    for name, part in labels.items():
        if not part.names:
            reasons[name] = f"no face in any of the {part.num_looked_at} frames that were looked at"
    skipped = (Skipped(task.person, task.video, chunk, reason) for chunk, reason in reasons.items())
    ready = [part for part in labels.values() if part.names]
    return VideoReport(len(ready), sum(len(part.names) for part in ready), latents, tuple(skipped))


def _label(
    task: VideoTask, folder: VideoFolder, place: Place, measure: Measure, reasons: dict[str, str]
) -> dict[str, ChunkLabels]:
    """Labels of every chunk that can be had, made now or earlier."""
    chunks, problems = task.read_chunks()
    labels = dict(folder.labels)
    reasons |= {chunk: reason for chunk, reason in problems.items() if chunk not in labels}
    known = {chunk.name for chunk in chunks} | set(task.clips) | set(folder.chunk_videos) | set(labels)
    for name, frames in _by_chunk(frame for frame in folder.frames if frame.chunk not in known).items():
        labels[name] = measure_crops(frames, measure, place.framing.batch)
        write_labels(folder.path / PARAMS / f"{name}.npz", labels[name])
    if any(part.is_adopted for part in labels.values()):
        return labels
    for name, footage in _footage(task, chunks, folder, place, reasons).items():
        if name in labels:
            continue
        try:
            source = _kept(footage, name, folder, place.keep_chunks)
            (folder.path / FRAMES).mkdir(parents=True, exist_ok=True)
            labels[name] = crop_chunk(source, name, folder.path / FRAMES, measure, place.framing)
            write_labels(folder.path / PARAMS / f"{name}.npz", labels[name])
        except InputError as error:
            reasons[name] = str(error)
    return labels


def _footage(
    task: VideoTask, chunks: Sequence[Chunk], folder: VideoFolder, place: Place, reasons: dict[str, str]
) -> dict[str, Footage]:
    """Where the pictures of each chunk come from: its own file, or the long video."""
    files = dict(folder.chunk_videos) | task.clips
    footage = {name: Footage(file) for name, file in files.items()}
    whole = [chunk for chunk in chunks if chunk.name not in files]
    footage |= {chunk.name: replace(footage[chunk.name], chunk=chunk) for chunk in chunks if chunk.name in files}
    missing = [chunk for chunk in whole if chunk.name not in folder.labels]
    if not missing:
        return footage
    folders = [place.root] if place.videos is None else [place.videos, place.root]
    if (original := find_video(task, *folders)) is None:
        reasons[""] = NOT_HERE
        return footage
    try:
        probe_video(original)
    except InputError as error:
        reasons[""] = str(error)
        return footage
    return footage | {chunk.name: Footage(original, chunk, is_whole_video=True) for chunk in missing}


def _kept(footage: Footage, name: str, folder: VideoFolder, keep_chunks: bool) -> Footage:
    """The footage itself, or what was cut from it: frames are then always cropped from the cut, resumed or not."""
    chunk = footage.chunk
    if chunk is None or not footage.is_whole_video or not keep_chunks:
        return footage
    (folder.path / CHUNKS).mkdir(parents=True, exist_ok=True)
    output = folder.path / CHUNKS / f"{folder.video}#{name}#{chunk.first}-{chunk.last}.mp4"
    cut_chunk(footage, output)
    return Footage(output, chunk)


def measure_crops(frames: Sequence[FrameFile], measure: Measure, batch: int) -> ChunkLabels:
    """Labels of frames that others cropped; only square pictures are crops.

    Raises:
        ImageError: one cannot be read.
    """
    parts, waiting = [], iter(frames)
    while some := list(islice(waiting, batch)):
        read = [(frame.name, read_image(frame.path)) for frame in some]
        square = [(name, picture) for name, picture in read if picture.shape[0] == picture.shape[1]]
        params = measure([picture for _, picture in square], [None] * len(square)) if square else FaceParams.invalid(0)
        seen = np.flatnonzero(params.valid.cpu().numpy())
        parts.append(
            ChunkLabels(
                names=tuple(square[i][0] for i in seen),
                params=params[_rows(seen)].to("cpu"),
                matrices=np.repeat(np.eye(2, 3)[None], len(seen), 0),
                sides=np.array([len(square[i][1]) for i in seen], int),
                num_looked_at=len(some),
                is_adopted=True,
            )
        )
    return join_labels(parts)


def _encode(folder: VideoFolder, labels: dict[str, ChunkLabels], tools: Tools, batch: int) -> int:
    """Write the codes that are missing; returns how many there are."""
    fresh = VideoFolder(folder.person, folder.video, folder.path)
    files = {frame.name: frame for frame in fresh.frames}
    if tools.encode is not None:
        for part in labels.values():
            todo = [i for i, n in enumerate(part.names) if n in files and not fresh.latent_path(files[n]).is_file()]
            waiting = iter(todo)
            while rows := list(islice(waiting, batch)):
                frames = [files[part.names[i]] for i in rows]
                codes = tools.encode(fresh.images(frames), part.params[_rows(rows)])
                for frame, code in zip(frames, codes, strict=True):
                    save_whole(fresh.latent_path(frame), np.asarray(code, np.float32))
    return sum(fresh.latent_path(frame).is_file() for frame in files.values())


def _by_chunk(frames: Iterable[FrameFile]) -> dict[str, list[FrameFile]]:
    chunks: dict[str, list[FrameFile]] = defaultdict(list)
    for frame in frames:
        chunks[frame.chunk].append(frame)
    return chunks


def _rows(index: Sequence[int] | np.ndarray) -> torch.Tensor:
    return torch.as_tensor(np.asarray(index, np.int64))
