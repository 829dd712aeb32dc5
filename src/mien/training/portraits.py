"""Real pictures to invert: head crops of the data pack's photographs, of a folder of photographs, or of renders."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch

from mien.alignment import head_crop
from mien.errors import ImageError, TrainingError
from mien.images import read_image, shrink_to, to_tensor
from mien.synth.dataset import RenderedHeads
from mien.tracking import Tracker

log = logging.getLogger("mien.training")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


class Portraits:
    """Head crops that are read by number.

    Args:
        images: (N, S, S, 3) uint8, in memory or mapped from a file.
        resolution: side of what is read; S divided by a power of two.
    """

    def __init__(self, images: np.ndarray, resolution: int) -> None:
        self.images, self.resolution = images, resolution

    def __len__(self) -> int:
        return len(self.images)

    def pictures(self, index: torch.Tensor) -> torch.Tensor:
        """(B,) numbers → (B, 3, R, R) in [−1, 1]."""
        return shrink_to(to_tensor(np.asarray(self.images[index.numpy()])), self.resolution)


def open_portraits(folder: Path | None, resolution: int, tracker: Tracker) -> Portraits:
    """Portraits of a folder.

    Args:
        folder: photographs (searched in all depths), or a dataset of rendered heads; None takes the training part of
            the data pack's photographs.
        resolution: side of the crops.
        tracker: finds the faces of photographs.

    Raises:
        TrainingError: no face in the folder.
        MissingDataError: no folder is given and the data pack is not there.
    """
    if folder is None:
        from mien.training.photographs import Photographs

        return Portraits(Photographs(resolution).images, resolution)
    if (folder / "dataset.json").is_file():
        return Portraits(RenderedHeads(folder).images_file, resolution)
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    crops = [crop for path in files if (crop := head_of(path, resolution, tracker)) is not None]
    if not crops:
        raise TrainingError(f"{folder}: no photograph with a face there")
    log.info("%s: %d faces in %d photographs", folder, len(crops), len(files))
    return Portraits(np.stack(crops), resolution)


def head_of(path: Path, size: int, tracker: Tracker) -> np.ndarray | None:
    """The head crop (size, size, 3) of a photograph's largest face; None, and a line in the log, if it has none."""
    try:
        image = read_image(path)
    except ImageError as error:
        log.warning("left out: %s", error)
        return None
    boxes = tracker.find(image)
    face = tracker.estimate([image], boxes[:1]) if boxes else None
    if face is None or not bool(face.valid[0]):
        log.warning("left out: %s shows no face", path)
        return None
    return head_crop(face.landmarks[0].numpy(), face.angles[0].numpy(), size).apply(image)
