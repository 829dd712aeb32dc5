"""What was measured in the frames of a chunk, as one file beside them: the mark that the chunk is done."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mien.errors import InputError, OutputError
from mien.face3d.params import EXPRESSION_NAMES, FaceModel, FaceParams
from mien.media.writer import partial_path


@dataclass(frozen=True, eq=False)
class ChunkLabels:
    """The N frames of a chunk in which a face was found.

    Attributes:
        names: N names of frames, without suffix.
        params: the faces; landmarks in pixels of the cropped frames.
        matrices: (N, 2, 3) maps from pixels of the video to pixels of the cropped frames; identities if adopted.
        sides: (N,) sides of the cropped frames in pixels.
        num_looked_at: frames that were looked at, N of them with success.
        is_adopted: others cropped the frames, and only measuring was left to do.
    """

    names: tuple[str, ...]
    params: FaceParams
    matrices: np.ndarray
    sides: np.ndarray
    num_looked_at: int
    is_adopted: bool = False

    @staticmethod
    def empty(num_looked_at: int = 0) -> ChunkLabels:
        """No face in any of some frames."""
        return ChunkLabels((), FaceParams.invalid(0), np.zeros((0, 2, 3)), np.zeros(0, int), num_looked_at)


def write_labels(path: Path, labels: ChunkLabels) -> None:
    """Write a chunk's labels as .npz, without pickles; the file appears whole or not at all.

    Raises:
        OutputError: the place cannot be written.
    """
    params = labels.params
    arrays: Mapping[str, np.ndarray] = {
        "names": np.array(labels.names, dtype=np.str_),
        "expression_names": np.array(EXPRESSION_NAMES[params.model]),
        "angles_rad": params.angles.numpy(),
        "expression": params.expression.numpy(),
        "landmarks_px": params.landmarks.numpy(),
        "score": params.score.numpy(),
        "matrices": labels.matrices,
        "sides": labels.sides,
        "num_looked_at": np.array(labels.num_looked_at),
        "is_adopted": np.array(labels.is_adopted),
    }
    save_whole(path, arrays)


def read_labels(path: str | os.PathLike[str]) -> ChunkLabels:
    """Inverse of `write_labels`.

    Raises:
        InputError: the file is damaged or something else.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            expression_names = tuple(arrays["expression_names"].tolist())
            models: list[FaceModel] = [m for m, known in EXPRESSION_NAMES.items() if known == expression_names]
            names: tuple[str, ...] = tuple(arrays["names"].tolist())
            params = FaceParams(
                angles=torch.from_numpy(arrays["angles_rad"]).float(),
                expression=torch.from_numpy(arrays["expression"]).float(),
                landmarks=torch.from_numpy(arrays["landmarks_px"]).float(),
                valid=torch.ones(len(names), dtype=torch.bool),
                score=torch.from_numpy(arrays["score"]).float(),
                model=models[0],
            )
            looked, is_adopted = int(arrays["num_looked_at"]), bool(arrays["is_adopted"])
            return ChunkLabels(names, params, arrays["matrices"], arrays["sides"], looked, is_adopted)
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not the labels of a chunk, or damaged; delete it to have it made again") from error


def join_labels(parts: Sequence[ChunkLabels]) -> ChunkLabels:
    """Several parts of a chunk as one."""
    if not parts:
        return ChunkLabels.empty()
    return ChunkLabels(
        names=tuple(name for part in parts for name in part.names),
        params=FaceParams.cat([part.params for part in parts]),
        matrices=np.concatenate([part.matrices for part in parts]),
        sides=np.concatenate([part.sides for part in parts]),
        num_looked_at=sum(part.num_looked_at for part in parts),
        is_adopted=any(part.is_adopted for part in parts),
    )


def save_whole(path: Path, content: np.ndarray | Mapping[str, np.ndarray]) -> None:
    """Write one array as .npy or several as .npz; the file appears whole or not at all, its folder is made.

    Raises:
        OutputError: the place cannot be written.
    """
    partial = partial_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            if isinstance(content, np.ndarray):
                np.save(file, content, allow_pickle=False)
            else:
                np.savez(file, **content)  # pyright: ignore[reportArgumentType]
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot write there ({error.strerror})") from error
    finally:
        partial.unlink(missing_ok=True)
