"""Does memory grow with the length of the driver? Peak memory on a clip and on the same clip ten times over.

    python benchmarks/memory.py --bundle avatar

Each run is a process of its own; peak is its resident set size as the operating system counts it (getrusage). Writes
results/memory.json.
"""

from __future__ import annotations

import datetime
import json
import platform
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console

from mien.errors import MienError, MissingDataError
from mien.media import VideoWriter, read_video

RESULTS = Path(__file__).parent / "results"
SAMPLES = Path(__file__).parents[1] / "src" / "mien" / "assets" / "samples"

WARM_UP_FRAMES = 300  # until then buffers of the encoder and of the allocators fill


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to measure.

    Attributes:
        bundle: name or folder of the bundle.
        source: picture; the packaged sample if not given.
        driver: video; the packaged sample if not given.
        tracker: what measures faces.
        times: how often the driver is repeated in the long clip.
        single: only run once on `driver` and write the peak to standard output; used by the benchmark itself.
    """

    bundle: str = "avatar"
    source: Path = SAMPLES / "source_1.jpg"
    driver: Path = SAMPLES / "driver.mp4"
    tracker: Literal["embedded", "mediapipe"] = "embedded"
    times: int = 10
    single: bool = False


def run_once(settings: Settings) -> dict[str, float]:
    """Reenact in this process; frames and peak resident memory in MiB."""
    from mien.pipelines import load, reenact_video

    model = load(settings.bundle, "cpu", settings.tracker)
    warm: list[float] = []

    def note(done: int, total: int | None) -> None:
        if done == WARM_UP_FRAMES:
            warm.append(peak_mib())

    with tempfile.TemporaryDirectory() as folder:
        report = reenact_video(model, settings.source, settings.driver, Path(folder) / "out.mp4", progress=note)
    peak = peak_mib()
    return {"frames": report.num_frames, "peak_mib": round(peak, 1), "warm_mib": round(warm[0] if warm else peak, 1)}


def peak_mib() -> float:
    """Largest resident set size of this process so far."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def run_apart(settings: Settings, driver: Path) -> dict[str, float]:
    """`run_once` in a process of its own.

    Raises:
        MienError: it failed.
    """
    words = ["--bundle", settings.bundle, "--source", str(settings.source), "--driver", str(driver)]
    words += ["--tracker", settings.tracker, "--single"]
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True)
    if done.returncode:
        raise MienError(f"the measured process failed: {done.stderr.strip().splitlines()[-1:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def repeat(driver: Path, times: int, path: Path) -> Path:
    """The same clip several times in a row, without audio."""
    video = read_video(driver)
    with VideoWriter(path, video.info.rate) as writer:
        for _ in range(times):
            for frame in video:
                writer.write(frame.image)
    return path


def main(settings: Settings) -> None:
    """Measure, show and write."""
    if settings.single:
        sys.stdout.write(json.dumps(run_once(settings)) + "\n")
        return
    if not settings.driver.is_file():
        raise MissingDataError(f"{settings.driver}: no such file; name one with --driver")
    with tempfile.TemporaryDirectory() as folder:
        short = run_apart(settings, repeat(settings.driver, 1, Path(folder) / "short.mp4"))
        long = run_apart(settings, repeat(settings.driver, settings.times, Path(folder) / "long.mp4"))
    growth = long["peak_mib"] - long["warm_mib"]
    results = {
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        "bundle": Path(settings.bundle).name,
        "tracker": settings.tracker,
        "driver": settings.driver.name,
        "short": short,
        "long": long,
        "growth_mib": round(long["peak_mib"] - short["peak_mib"], 1),
        "growth_after_warm_up_mib": round(growth, 1),
        "growth_after_warm_up_bytes_per_frame": round(growth * 2**20 / max(1, long["frames"] - WARM_UP_FRAMES)),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "memory.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    Console().print_json(json.dumps(results))


if __name__ == "__main__":
    main(tyro.cli(Settings))
