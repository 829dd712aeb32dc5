"""Which pieces of which videos belong to VoxCeleb, read from the metadata in its four forms.

* **Annotations of VoxCeleb1 and VoxCeleb2** as their authors publish them (`vox1_dev_txt`, `vox2_test_txt`, …):
  `<person>/<video>/<utterance>.txt` with some "Name : value" lines, an empty line and a table FRAME X Y W H. Frame
  numbers count at 25 per second in both. Boxes are pixels of a frame 360 pixels high in VoxCeleb1, shares of the
  frame's width and height in VoxCeleb2; the decimal points tell which.
* **Tables of chunks** of VoxCeleb1 (`vox-metadata.csv` of the video-preprocessing project): video_id, start, end
  (exclusive), bbox left-top-right-bottom, fps, width, height, partition and person_id; older tables have video#person
  in video_id.
* **Clips** that are cut already: `<person>#<video>#<start>#<end>.mp4`, which that project writes, and
  `<person>/<video>/<utterance>.mp4`, which is how VoxCeleb2 publishes its faces.
"""

from __future__ import annotations

import csv
import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from mien.errors import InputError, MissingDataError
from mien.media.sequence import natural_key

RATE_FPS = Fraction(25)
"""Frames per second in which all metadata counts."""
PIXEL_HEIGHT = 360
CLIP_SUFFIXES = (".mp4", ".m4v", ".mkv", ".webm", ".mov", ".avi")
COLUMNS = ("video_id", "start", "end", "bbox", "fps", "width", "height")
_VIDEO = re.compile(r"[A-Za-z0-9_-]{11}")
_PERSON = re.compile(r"\w[\w.'-]*")


@dataclass(frozen=True, eq=False)
class Chunk:
    """A piece of a video in which one person is seen.

    Attributes:
        name: names it within its video, such as the number of the utterance.
        first, last: numbers of its first and last frame at `RATE_FPS`, both included.
        frames: (N,) ascending frame numbers at which the face's box is known.
        boxes: (N, 4) x0, y0, x1, y1 in units of `reference`.
        reference: (height, width) of the frame in which the boxes are measured; None: as wide as the video's shape
            makes it.
    """

    name: str
    first: int
    last: int
    frames: np.ndarray
    boxes: np.ndarray
    reference: tuple[float, float | None]

    @property
    def num_frames(self) -> int:
        """Frames at `RATE_FPS`."""
        return self.last - self.first + 1

    def box_px(self, number: int, size: tuple[int, int]) -> np.ndarray:
        """Box (4,) x0, y0, x1, y1 around the face of frame `number` (from 0 in the chunk), interpolated.

        Args:
            size: (height, width) of the video's frames in pixels.
        """
        at = self.first + number
        box = np.array([np.interp(at, self.frames, column) for column in self.boxes.T])
        down = size[0] / self.reference[0]
        across = down if self.reference[1] is None else size[1] / self.reference[1]
        return box * (across, down, across, down)


@dataclass(frozen=True)
class VideoTask:
    """What the metadata know of one video.

    Attributes:
        person, video: their names.
        annotations: text files, one per chunk, read when the chunks are needed: VoxCeleb2 has a million of them.
        rows: chunks that are known already.
        clips: chunks that are video files themselves, by chunk name.
    """

    person: str
    video: str
    annotations: tuple[Path, ...] = ()
    rows: tuple[Chunk, ...] = ()
    clips: dict[str, Path] = field(default_factory=dict, hash=False)

    def read_chunks(self) -> tuple[list[Chunk], dict[str, str]]:
        """The chunks in order of their names, and for each that cannot be read the reason, by chunk name."""
        chunks, problems = list(self.rows), {}
        for path in self.annotations:
            try:
                chunks.append(read_annotation(path))
            except InputError as error:
                problems[path.stem] = str(error)
        return chunks, problems


def read_metadata(path: str | os.PathLike[str]) -> list[VideoTask]:
    """The videos that a folder of annotations or a table of chunks speaks of, by person and video.

    Raises:
        MissingDataError: nothing there.
        InputError: neither of the two, or a row of the table makes no sense.
    """
    path = Path(path)
    if path.is_file():
        return _read_table(path)
    if not path.is_dir():
        raise MissingDataError(f"{path}: no such metadata")
    found: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for file in path.rglob("*.txt"):
        parts = file.relative_to(path).parts
        if len(parts) >= 3 and _is_name(parts[-3], parts[-2]):
            found[parts[-3], parts[-2]].append(file)
    if not found:
        raise InputError(f"{path}: no annotations there; they lie in <person>/<video>/<utterance>.txt")
    return [VideoTask(*key, tuple(sorted(files, key=natural_key))) for key, files in sorted(found.items())]


def read_clips(folder: str | os.PathLike[str]) -> list[VideoTask]:
    """The videos whose chunks lie in a folder as files of their own.

    Raises:
        InputError: no such folder, or no clips in it.
    """
    folder = Path(folder)
    found: dict[tuple[str, str], dict[str, Path]] = defaultdict(dict)
    for file in sorted((f for f in folder.rglob("*") if f.suffix.lower() in CLIP_SUFFIXES), key=natural_key):
        words, parents = file.stem.split("#"), file.relative_to(folder).parts[:-1]
        if len(words) == 4 and _is_name(words[0], words[1]):
            found[words[0], words[1]]["-".join(words[2:])] = file
        elif len(words) == 1 and len(parents) >= 2 and _is_name(*parents[-2:]):
            found[parents[-2], parents[-1]][file.stem] = file
    if not found:
        names = "<person>#<video>#<start>#<end>.mp4 or <person>/<video>/<utterance>.mp4"
        raise InputError(f"{folder}: no clips there; they are named {names}")
    return [VideoTask(*key, clips=clips) for key, clips in sorted(found.items())]


def read_annotation(path: str | os.PathLike[str]) -> Chunk:
    """One utterance of VoxCeleb1 or VoxCeleb2.

    Raises:
        InputError: the file has no table of boxes, or a line of it makes no sense.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        start = next(i for i, line in enumerate(lines) if line.split()[:5] == ["FRAME", "X", "Y", "W", "H"])
        words = [line.split() for line in lines[start + 1 :] if line.strip()]
        table = np.array([[float(word) for word in row] for row in words])
    except (OSError, ValueError, StopIteration) as error:
        raise InputError(f"{path}: not an annotation of VoxCeleb (a table FRAME X Y W H)") from error
    if table.ndim != 2 or table.shape[1] != 5 or not np.isfinite(table).all() or (np.diff(table[:, 0]) <= 0).any():
        raise InputError(f"{path}: a line of its table is not FRAME X Y W H, or the frames do not ascend")
    is_share = any("." in word for row in words for word in row[1:])
    frames, corner, extent = table[:, 0].astype(int), table[:, 1:3], table[:, 3:]
    if frames[0] < 0 or (extent <= 0).any():
        raise InputError(f"{path}: a frame number below zero or an empty box")
    reference = (1.0, 1.0) if is_share else (float(PIXEL_HEIGHT), None)
    boxes = np.hstack([corner, corner + extent])
    return Chunk(path.stem, int(frames[0]), int(frames[-1]), frames, boxes, reference)


def selected(tasks: Iterable[VideoTask], people: Iterable[str] = (), limit: int | None = None) -> list[VideoTask]:
    """The videos of some people (empty: of all), at most `limit` of them."""
    wanted = set(people)
    return [task for task in tasks if not wanted or task.person in wanted][:limit]


def _read_table(path: Path) -> list[VideoTask]:
    found: dict[tuple[str, str], list[Chunk]] = defaultdict(list)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = set(COLUMNS) - set(reader.fieldnames or ())
            if missing:
                raise InputError(f"{path}: not a table of chunks; it lacks {', '.join(sorted(missing))}")
            for number, row in enumerate(reader, 2):
                person, video, chunk = _read_row(row, f"{path}, line {number}")
                found[person, video].append(chunk)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a table of chunks ({error})") from error
    return [VideoTask(*key, rows=tuple(rows)) for key, rows in sorted(found.items())]


def _read_row(row: dict[str, str], place: str) -> tuple[str, str, Chunk]:
    video, _, person = row["video_id"].partition("#")
    person = row.get("person_id") or person
    try:
        box = [float(word) for word in row["bbox"].split("-")]
        scale = RATE_FPS / Fraction(row["fps"])
        first, end = round(int(row["start"]) * scale), round(int(row["end"]) * scale)
        reference = (float(row["height"]), float(row["width"]))
    except (ValueError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise InputError(f"{place}: this row is not a chunk") from error
    is_box = len(box) == 4 and box[0] < box[2] and box[1] < box[3]
    if not (_is_name(person, video) and is_box and 0 <= first < end and min(reference) > 0):
        raise InputError(f"{place}: this row is not a chunk of a video")
    name = f"{first:06d}-{end:06d}"
    return person, video, Chunk(name, first, end - 1, np.array([first]), np.array([box]), reference)


def _is_name(person: str, video: str) -> bool:
    """Whether these are names of VoxCeleb; anything else could lead out of the folder that is written."""
    return bool(_PERSON.fullmatch(person) and _VIDEO.fullmatch(video))
