"""Face tracking: find faces, measure pose, expression and landmarks, follow one face through a video."""

from __future__ import annotations

import os

from mien.errors import InputError
from mien.tracking.deca import DecaTracker
from mien.tracking.deca_net import DecaCode, DecaNet, DecaNetConfig
from mien.tracking.embedded import EmbeddedTracker, load_embedded, save_tracker, tracker_from_state, tracker_to_state
from mien.tracking.follow import choose_box, follow
from mien.tracking.framing import box_from_landmarks
from mien.tracking.protocol import Box, Tracker
from mien.tracking.smoothing import CropSmoother, FaceSmoother, OneEuro, Smoothing

__all__ = [
    "Box",
    "CropSmoother",
    "DecaCode",
    "DecaNet",
    "DecaNetConfig",
    "DecaTracker",
    "EmbeddedTracker",
    "FaceSmoother",
    "OneEuro",
    "Smoothing",
    "Tracker",
    "box_from_landmarks",
    "choose_box",
    "follow",
    "load_tracker",
    "save_tracker",
    "tracker_from_state",
    "tracker_to_state",
]


def load_tracker(name: str, source: str | os.PathLike[str] | None = None) -> Tracker:
    """A tracker by name.

    Args:
        name: "embedded" (from a folder with tracker.safetensors and tracker.json) or "mediapipe".
        source: that folder, or MediaPipe's model file (None: $MIEN_FACE_LANDMARKER).

    Raises:
        InputError: unknown name, or "embedded" without a folder.
        BundleError: the folder holds no tracker.
        MissingExtraError, MissingDataError: MediaPipe or its model file is not there.
    """
    if name == "embedded" and source is not None:
        return load_embedded(source)
    if name == "mediapipe":
        from mien.tracking.mediapipe import MediaPipeTracker

        return MediaPipeTracker(source)
    raise InputError(f"trackers are 'embedded' (with its folder) and 'mediapipe', not {name!r}")
