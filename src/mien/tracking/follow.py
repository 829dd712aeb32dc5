"""One face through a video: find it once, then keep it by its own landmarks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from mien.errors import InputError
from mien.face3d.params import FaceParams
from mien.tracking.framing import box_from_landmarks
from mien.tracking.protocol import Box, Tracker

DRIFT_OVERLAP = 0.55
"""A frame is measured again, in a fresh box, when its landmarks' box overlaps the box it was measured in by less."""


def choose_box(boxes: Sequence[Box], choose: str | int) -> Box | None:
    """One of several faces, or None when there is no such face.

    Args:
        boxes: any order.
        choose: "largest", "left" or "right" (in the picture), or the index counted from the left.

    Raises:
        InputError: `choose` is something else.
    """
    ordered = sorted(boxes, key=lambda box: float(box.centre[0]))
    if isinstance(choose, int):
        return ordered[choose] if 0 <= choose < len(ordered) else None
    if choose not in ("largest", "left", "right"):
        raise InputError(f"a face is chosen by 'largest', 'left', 'right' or its number from the left, not {choose!r}")
    if not ordered:
        return None
    return {"largest": max(ordered, key=lambda box: box.area), "left": ordered[0], "right": ordered[-1]}[choose]


def follow(
    tracker: Tracker, frames: Iterable[np.ndarray], choose: str | int = "largest", batch: int = 8
) -> Iterator[FaceParams]:
    """Measure the same face in every frame, lazily; memory does not grow with the length.

    Args:
        tracker: any tracker.
        frames: uint8 (H, W, 3) RGB pictures.
        choose: which face to start with, see `choose_box`; a face that was lost is taken up again nearest to its place.
        batch: frames measured together in one box; 1 for live pictures.

    Yields:
        FaceParams of length 1 per frame; `valid` is False while no face can be followed.
    """
    choose_box([], choose)
    box: Box | None = None
    seen: Box | None = None
    source = iter(frames)
    while pending := list(islice(source, max(batch, 1))):
        while pending:
            just_found = box is None
            if box is None:
                box = _find_again(tracker, pending[0], choose, seen)
            if box is None:
                yield FaceParams.invalid(1)
                pending.pop(0)
                continue
            measured, next_box = _measure_prefix(tracker, pending, box)
            seen, box = next_box or seen, next_box
            if next_box is None and not just_found:
                continue  # the face left its box: look for it in the same frame before giving the frame up
            for i in range(len(measured)):
                yield measured[i]
            pending = pending[len(measured) :]


def _find_again(tracker: Tracker, frame: np.ndarray, choose: str | int, seen: Box | None) -> Box | None:
    """The face nearest to where it was last seen, as long as it is near; else the chosen one."""
    boxes = tracker.find(frame)
    if seen is not None and boxes:
        nearest = min(boxes, key=lambda box: float(np.linalg.norm(box.centre - seen.centre)))
        if np.linalg.norm(nearest.centre - seen.centre) < seen.side:
            return nearest
    return choose_box(boxes, choose)


def _measure_prefix(tracker: Tracker, frames: Sequence[np.ndarray], box: Box) -> tuple[FaceParams, Box | None]:
    """Measure the frames in one box; keep them up to where the face has left it. Always at least one frame.

    Returns:
        The kept measurements and the box for the frame after them (None: the face is lost).
    """
    params = tracker.estimate(frames, [box] * len(frames))
    landmarks, valid = params.landmarks.cpu().numpy(), params.valid.tolist()
    if not valid[0]:
        return params[:1], None
    kept, fresh = 0, box
    for i, is_valid in enumerate(valid):
        found = box_from_landmarks(landmarks[i]) if is_valid else box
        if i > 0 and (not is_valid or found.overlap(box) < DRIFT_OVERLAP):
            break
        kept, fresh = i + 1, found
    return params[:kept], fresh
