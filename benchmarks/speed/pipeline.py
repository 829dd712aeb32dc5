"""How fast is the whole way from file to file, and where does the time go?

    python benchmarks/speed/pipeline.py --bundle avatar

Measures `reenact_video` after a warm-up run and writes results/pipeline_speed.json.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from rich.console import Console

from mien.device import choose_device, describe_device
from mien.errors import MissingDataError
from mien.pipelines import Report, VideoOptions, load, reenact_video
from mien.pipelines.moving import Method

RESULTS = Path(__file__).parents[1] / "results"
SAMPLES = Path(__file__).parents[2] / "src" / "mien" / "assets" / "samples"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to measure.

    Attributes:
        bundle: name or folder of the bundle.
        source: picture; the packaged sample if not given.
        driver: video; the packaged sample if not given.
        tracker: what measures faces.
        method: how motion becomes a picture; default what the bundle has.
        device: where the networks run; default the best there is.
        batch: frames computed together.
        runs: measured runs; the median is reported.
        threads: of torch; 0 leaves its own choice.
        name: name of the result file.
    """

    bundle: str = "avatar"
    source: Path = SAMPLES / "source_1.jpg"
    driver: Path = SAMPLES / "driver.mp4"
    tracker: Literal["embedded", "mediapipe"] = "embedded"
    method: Method | None = None
    device: str | None = None
    batch: int = 8
    runs: int = 3
    threads: int = 0
    name: str = "pipeline_speed"


def measure(settings: Settings) -> dict[str, Any]:
    """Run the pipeline `runs` + 1 times; the run with the median speed, and the spread.

    Raises:
        MissingDataError: source or driver is not there.
    """
    for path in (settings.source, settings.driver):
        if not path.is_file():
            raise MissingDataError(f"{path}: no such file; name one with --source and --driver")
    if settings.threads:
        torch.set_num_threads(settings.threads)
    model = load(settings.bundle, settings.device, settings.tracker)
    options = VideoOptions(batch=settings.batch, method=settings.method)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out.mp4"
        reports = [
            reenact_video(model, settings.source, settings.driver, output, options) for _ in range(settings.runs + 1)
        ][1:]
    return {"bundle": model.bundle.name, "resolution": model.bundle.generator.config.resolution} | summary(reports)


def summary(reports: list[Report]) -> dict[str, Any]:
    """Speed and stage shares of the run with the median speed."""
    speeds = [report.frames_per_second for report in reports]
    median = min(reports, key=lambda report: abs(report.frames_per_second - statistics.median(speeds)))
    stages = {stage: seconds for stage, seconds in median.seconds.items() if stage != "identify"}
    total = sum(stages.values())
    return {
        "frames": median.num_frames,
        "frames_without_face": median.num_missing,
        "frames_per_second": round(median.frames_per_second, 2),
        "frames_per_second_of_runs": [round(speed, 2) for speed in speeds],
        "identify_ms": round(1000 * median.seconds["identify"], 1),
        "ms_per_frame": {stage: round(1000 * seconds / median.num_frames, 2) for stage, seconds in stages.items()},
        "share": {stage: round(seconds / total, 3) for stage, seconds in stages.items()},
    }


def machine(device: str | None) -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "date": datetime.date.today().isoformat(),
        "device": describe_device(choose_device(device)),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "threads": torch.get_num_threads(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def main(settings: Settings) -> None:
    """Measure, show and write."""
    before = machine(settings.device)
    results = measure(settings)
    about = {"tracker": settings.tracker, "batch": settings.batch, "driver": settings.driver.name}
    RESULTS.mkdir(parents=True, exist_ok=True)
    file = RESULTS / f"{settings.name}.json"
    file.write_text(json.dumps(before | about | results, indent=1) + "\n", encoding="utf-8")
    Console().print_json(file.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main(tyro.cli(Settings))
