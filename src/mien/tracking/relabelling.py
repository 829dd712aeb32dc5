"""Labels of real faces measured anew, because single looks are noisier than what heads in the clips move."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from rich.progress import track
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from mien.errors import TrainingError
from mien.face3d.params import FaceParams
from mien.tracking.calibration import to_ict_scale
from mien.tracking.framing import box_from_landmarks
from mien.tracking.material import LabelledPictures
from mien.tracking.mediapipe import MediaPipeTracker
from mien.tracking.protocol import Tracker
from mien.tracking.steady import SteadyTracker

_FIELDS = ("angles", "expression", "landmarks", "valid")


def measured_anew(faces: LabelledPictures, tracker: Tracker, title: str) -> FaceParams:
    """What `tracker` says about every face, looked for where the old label has it.

    Args:
        faces: labelled pictures.
        tracker: on MediaPipe's own scale.
        title: of the progress bar.
    """
    found = []
    for i in track(range(len(faces)), description=title, transient=True):
        box = box_from_landmarks(faces.params.landmarks[i].numpy())
        found.append(tracker.estimate([faces.pictures[faces.owner[i]]], [box]))
    return to_ict_scale(FaceParams.cat(found))


def relabelled(materials: Mapping[str, LabelledPictures], file: Path) -> dict[str, LabelledPictures]:
    """The same pictures with MediaPipe's mean over sixteen looks as labels; kept in `file`, measured if it is missing.

    Faces that MediaPipe does not find again keep their labels.

    Raises:
        TrainingError: the file belongs to other pictures.
        MissingExtraError, MissingDataError: there is no file yet, and no MediaPipe to make it.
    """
    if not file.is_file():
        tracker = SteadyTracker(MediaPipeTracker(scale="raw"))
        fresh = {name: measured_anew(faces, tracker, f"labels: {name}") for name, faces in materials.items()}
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file({f"{n}.{f}": getattr(p, f).contiguous() for n, p in fresh.items() for f in _FIELDS}, file)
    try:
        stored = load_file(file)
        return {name: _with(faces, {f: stored[f"{name}.{f}"] for f in _FIELDS}) for name, faces in materials.items()}
    except (KeyError, ValueError, SafetensorError) as error:
        raise TrainingError(f"{file}: not the labels of these pictures ({error}); delete it to measure anew") from error


def _with(faces: LabelledPictures, labels: Mapping[str, torch.Tensor]) -> LabelledPictures:
    if len(labels["valid"]) != len(faces):
        raise ValueError(f"{len(labels['valid'])} labels for {len(faces)} faces")
    old, valid = faces.params, labels["valid"]

    def chosen(name: str) -> torch.Tensor:
        new, before = labels[name], getattr(old, name)
        return torch.where(valid.reshape(-1, *[1] * (new.ndim - 1)), new, before)

    angles, expression, landmarks = (chosen(name) for name in ("angles", "expression", "landmarks"))
    params = FaceParams(angles=angles, expression=expression, landmarks=landmarks, valid=old.valid, score=old.score)
    return faces.relabelled(params)
