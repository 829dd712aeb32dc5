"""The measuring stick: drivers of any make, the same questions, the same instruments, one report."""

from mien.benchmark.clips import Clip, find_clips
from mien.benchmark.heads import HeadPair, HeadPairs, HeadsConfig, render_pairs
from mien.benchmark.heads_report import heads_report
from mien.benchmark.heads_scoring import TRUTH, Measured, measure_heads
from mien.benchmark.instruments import (
    SUBSTITUTE,
    Instruments,
    Judge,
    readable_coordinates,
    structural_distance,
)
from mien.benchmark.linearity import Sweep, cross_talk, fit_lines, identity_decay, sweep_sources
from mien.benchmark.linearity_report import linearity_report
from mien.benchmark.protocol import CopyDriver, CopySource, Driver, Editor
from mien.benchmark.records import Mean, Record, means_of, paired_differences
from mien.benchmark.report import Report, page, write_json
from mien.benchmark.study import Study, Trial, make_study, tally
from mien.benchmark.videos import MeasuredVideos, VideoSettings, measure_videos
from mien.benchmark.videos_report import videos_report

__all__ = [
    "Clip",
    "CopyDriver",
    "CopySource",
    "Driver",
    "Editor",
    "HeadPair",
    "HeadPairs",
    "HeadsConfig",
    "Instruments",
    "Judge",
    "Mean",
    "Measured",
    "MeasuredVideos",
    "Record",
    "Report",
    "SUBSTITUTE",
    "TRUTH",
    "Study",
    "Sweep",
    "Trial",
    "VideoSettings",
    "cross_talk",
    "find_clips",
    "fit_lines",
    "heads_report",
    "identity_decay",
    "linearity_report",
    "means_of",
    "measure_heads",
    "page",
    "paired_differences",
    "readable_coordinates",
    "render_pairs",
    "structural_distance",
    "make_study",
    "sweep_sources",
    "tally",
    "measure_videos",
    "videos_report",
    "write_json",
]
