"""What users do: identify a source, drive it, edit it, turn whole files into files."""

from mien.pipelines.baselines import BASELINES, baseline_model
from mien.pipelines.editing import EditOptions, EditReport, edit_photo, sweep
from mien.pipelines.identity import Identity
from mien.pipelines.measuring import track_video
from mien.pipelines.reenactor import Reenactor, load
from mien.pipelines.reference import neutral_face
from mien.pipelines.scene import SceneStream
from mien.pipelines.streaming import Driven, Stream
from mien.pipelines.verifying import Reading
from mien.pipelines.video import Report, VideoOptions, reenact_video

__all__ = [
    "BASELINES",
    "Driven",
    "EditOptions",
    "EditReport",
    "Identity",
    "Reenactor",
    "Reading",
    "Report",
    "SceneStream",
    "Stream",
    "VideoOptions",
    "baseline_model",
    "edit_photo",
    "load",
    "neutral_face",
    "reenact_video",
    "sweep",
    "track_video",
]
