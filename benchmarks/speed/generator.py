"""How fast does the generator draw, and what share of this machine's arithmetic does it use?

    python benchmarks/speed/generator.py

Every way of drawing (reference, fast, fast in bfloat16) at every size and batch is timed in turn, again and again, and
so are plain 3×3 convolutions; medians are reported. The peak of a type is the best rate of those convolutions in the
same run. Multiply-adds are counted layer by layer: convolutions and dense layers as defined, transposed convolutions on
their coarse grid. Filters, noise and activations count as time but not as work.
Writes results/generator_speed.json and .md.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

import torch
import tyro
from pipeline import RESULTS, machine
from rich.console import Console
from torch.nn import functional as F

from mien.device import choose_device
from mien.stylegan2 import Generator, GeneratorConfig

CHANNEL_BASES = {256: 16384, 1024: 32768}
CONVOLUTIONS = ((512, 32), (256, 64), (128, 128), (64, 256))  # channels and side of the plain convolutions
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
GOAL = 0.75  # of the peak: the 256² generator in float32
Way = tuple[bool, str]  # fast path?, type
WAYS: dict[str, Way] = {
    "reference": (False, "float32"),
    "fast": (True, "float32"),
    "fast, bfloat16": (True, "bfloat16"),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to measure.

    Attributes:
        resolutions: sides of the pictures, 256 and 1024 being the published generators of full width.
        batches: pictures drawn at once.
        repeats: rounds; each times everything once.
        device: where it runs; default the best there is.
        threads: of torch; 0 leaves its own choice.
        name: name of the result files.
    """

    resolutions: tuple[Literal[256, 1024], ...] = (256, 1024)
    batches: tuple[int, ...] = (1, 4)
    repeats: int = 9
    device: str | None = None
    threads: int = 0
    name: str = "generator_speed"


def main(settings: Settings) -> None:
    """Measure, show and write."""
    if settings.threads:
        torch.set_num_threads(settings.threads)
    before = machine(settings.device)
    device = choose_device(settings.device)
    generators = {size: _generator(size).to(device) for size in settings.resolutions}
    tasks = {f"convolution {c}×{s}², {t}": _convolution(c, s, t, device) for c, s in CONVOLUTIONS for t in TYPES}
    for size, generator in generators.items():
        for batch in settings.batches:
            tasks |= {f"{size}², {batch}, {name}": _drawing(generator, batch, way) for name, way in WAYS.items()}
    seconds = timed(tasks, settings.repeats, device)
    peaks = {
        t: max(2 * c * c * 9 * s * s / median(seconds[f"convolution {c}×{s}², {t}"]) for c, s in CONVOLUTIONS)
        for t in TYPES
    }
    rows = [
        _row(size, batch, name, multiply_adds(generators[size].config), seconds[f"{size}², {batch}, {name}"], peaks)
        for size in settings.resolutions
        for batch in settings.batches
        for name in WAYS
    ]
    results = {"machine": before, "peak_gflops": {t: round(peak / 1e9, 1) for t, peak in peaks.items()}, "rows": rows}
    goal = [row["share_of_peak"] for row in rows if (row["size"], row["batch"], row["way"]) == (256, 1, "fast")]
    results |= {"goal": GOAL, "is_goal_met": bool(goal) and goal[0] >= GOAL}
    RESULTS.mkdir(parents=True, exist_ok=True)
    file = RESULTS / f"{settings.name}.json"
    file.write_text(json.dumps({"settings": vars(settings)} | results, indent=1) + "\n", encoding="utf-8")
    file.with_suffix(".md").write_text(described(results), encoding="utf-8")
    Console(width=140).print(file.with_suffix(".md").read_text(encoding="utf-8"), markup=False, highlight=False)


def multiply_adds(config: GeneratorConfig) -> dict[str, int]:
    """Multiply-adds of one picture from its W+ code, by kind of layer, as the network is defined.

    A transposed convolution takes nine for each pair of channels and each coarse pixel. Filters, which are not part of
    the work that rates are computed from, take sixteen after a transposed convolution, and four where they up-sample.
    """
    counts = {"convolutions": 0, "to_rgb": 0, "styles": 0, "filters": 0}
    previous = config.channels(4)
    for resolution in config.resolutions:
        width, pixels = config.channels(resolution), resolution**2
        if resolution > 4:
            counts["convolutions"] += 9 * previous * width * pixels // 4
            counts["styles"] += config.style_dim * previous
            counts["filters"] += (16 if config.upsample == "published" else 4) * width * pixels + 4 * 3 * pixels
        counts["convolutions"] += 9 * width * width * pixels
        counts["to_rgb"] += 3 * width * pixels
        counts["styles"] += 2 * config.style_dim * width
        previous = width
    return counts


def timed(tasks: dict[str, Callable[[], Any]], repeats: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of every task in every round; rounds are interleaved.

    Each task runs once unmeasured right before: what another one left in caches and memory is not its doing.
    """
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(repeats):
        for name, task in tasks.items():
            task()
            _wait(device)
            start = time.perf_counter()
            task()
            _wait(device)
            seconds[name].append(time.perf_counter() - start)
    return seconds


def described(results: dict[str, Any]) -> str:
    """A Markdown table with one row per size, batch and way."""
    peaks = ", ".join(f"{peak:g} GFLOP/s in {t}" for t, peak in results["peak_gflops"].items())
    about = results["machine"]
    lines = [
        "### Generator: time per picture, and share of the machine's peak",
        "",
        "| size | batch | way | ms per picture | GFLOP/s | share of peak |",
        "|---|---|---|---|---|---|",
    ]
    for row in results["rows"]:
        numbers = f"{row['ms_per_image']:.1f} | {row['gflops']:.1f} | {row['share_of_peak']:.0%}"
        lines.append(f"| {row['size']}² | {row['batch']} | {row['way']} | {numbers} |")
    caption = f"Peak of plain 3×3 convolutions: {peaks}. {about['device']}, {about['threads']} thread(s), load "
    caption += f"{about['load_before']} before. Goal: {GOAL:.0%} at 256², batch 1, fast."
    return "\n".join([*lines, "", caption, ""])


def _row(
    size: int, batch: int, name: str, counts: dict[str, int], seconds: list[float], peaks: dict[str, float]
) -> dict[str, Any]:
    work = 2 * (sum(counts.values()) - counts["filters"])
    rate = work * batch / median(seconds)
    return {
        "size": size,
        "batch": batch,
        "way": name,
        "multiply_adds_per_image": counts,
        "ms_per_image": round(1000 * median(seconds) / batch, 2),
        "ms_per_image_of_rounds": [round(1000 * s / batch, 2) for s in seconds],
        "gflops": round(rate / 1e9, 1),
        "share_of_peak": round(rate / peaks[WAYS[name][1]], 3),
    }


def _generator(size: int) -> Generator:
    config = GeneratorConfig(resolution=size, channel_base=CHANNEL_BASES[size])
    return Generator(config).requires_grad_(False).eval()


def _drawing(generator: Generator, batch: int, way: Way) -> Callable[[], torch.Tensor]:
    is_fast, kind = way
    codes = torch.randn(batch, generator.num_rows, generator.config.style_dim, device=generator.const.device)
    codes = codes.to(TYPES[kind])

    @torch.inference_mode()
    def draw() -> torch.Tensor:
        return generator.synthesis(codes, fast=is_fast)

    return draw


def _convolution(channels: int, side: int, kind: str, device: torch.device) -> Callable[[], torch.Tensor]:
    settings = {"device": device, "dtype": TYPES[kind]}
    x = torch.randn(1, channels, side, side, **settings).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(channels, channels, 3, 3, **settings).contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def convolve() -> torch.Tensor:
        return F.conv2d(x, weight, padding=1)

    return convolve


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main(tyro.cli(Settings))
