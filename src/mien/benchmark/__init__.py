"""The measuring stick: drivers of any make, the same questions, the same instruments, one report."""

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
from mien.benchmark.protocol import CopyDriver, CopySource, Driver, Editor, Framing
from mien.benchmark.records import Mean, Record, means_of, paired_differences
from mien.benchmark.report import Report, page, write_json

__all__ = [
    "CopyDriver",
    "CopySource",
    "Driver",
    "Editor",
    "Framing",
    "HeadPair",
    "HeadPairs",
    "HeadsConfig",
    "Instruments",
    "Judge",
    "Mean",
    "Measured",
    "Record",
    "Report",
    "SUBSTITUTE",
    "TRUTH",
    "heads_report",
    "means_of",
    "measure_heads",
    "page",
    "paired_differences",
    "readable_coordinates",
    "render_pairs",
    "structural_distance",
    "write_json",
]
