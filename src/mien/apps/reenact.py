"""`mien reenact SOURCE DRIVER -o OUT`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from mien.apps.arguments import (
    MethodChoice,
    Output,
    Tracker,
    joined_strength,
    read_driver_face,
    read_rate,
    read_reference,
    read_source_face,
    read_strength,
)
from mien.apps.screen import progress_bar, say, warn
from mien.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Move the person of a photo like the person of a video.

    A video gives a video with the driver's rate, time stamps and audio; a photo gives a picture; a folder of pictures
    gives a video or, for an OUT without a suffix, a folder.
    """

    source: tyro.conf.Positional[str]
    """Picture of the person to be moved."""
    driver: tyro.conf.Positional[str]
    """Video, folder of pictures, or photo of the person who moves."""
    output: Output
    """Result: .mp4 .m4v .mov .mkv, a picture for a photo, or a new folder."""
    method: MethodChoice = "auto"
    """How motion becomes a new picture; auto: one-shot where the bundle can, else directions, else stylemask;
    stylemask-refined is to stylemask what one-shot is to directions."""
    mask_layers: int = 0
    """Of stylemask: how many layers take part, from the coarsest on; 0: all that were trained."""
    relative: bool = False
    """Apply the driver's change since its reference frame instead of its pose itself."""
    reference: str = "neutral"
    """Reference of --relative: neutral (the most neutral frame), first, a frame's number (0, 1, ...), or a picture."""
    paste: bool = False
    """Put the result back into the whole source picture."""
    grid: bool = False
    """Show source, driver and result side by side."""
    strength: str = "1.0"
    """Factor on the motion, or by group: pose=0.5 mouth=1.2 (pose, mouth, brows, eyes, or a coordinate)."""
    smooth: bool = True
    """Calm the driver's track (One-Euro filter)."""
    tune: bool = False
    """Tune the generator to the source first: 200 steps, a better likeness, slow without a GPU."""
    source_face: str = ""
    """Which face of the source: left, right, largest or its number from the left (0, 1, ...); all, with --paste."""
    driver_face: str = "largest"
    """Which face of the driver to follow: left, right, largest or its number from the left; matching, with --paste:
    for each source face its own."""
    missing: Literal["hold", "source"] = "hold"
    """While the driver's face is lost: hold the last result, or show the source."""
    rate: str = ""
    """Frames per second of a folder of pictures (25 if not given); videos carry their own."""
    batch: int = 8
    """Frames computed together."""
    device: str = "auto"
    """cpu, cuda, cuda:N, mps or auto."""
    tracker: Tracker = "embedded"
    """What measures faces."""
    bundle: str = "avatar"
    """Name or folder of the bundle."""


def run(words: Sequence[str]) -> None:
    """Parse the words after `mien reenact` and do it."""
    config = (tyro.conf.FlagCreatePairsOff,)
    given = tyro.cli(Arguments, args=joined_strength(words), prog="mien reenact", config=config)
    strength, driver_face = read_strength(given.strength), read_driver_face(given.driver_face)
    source_face = read_source_face(given.source_face)
    rate = read_rate(given.rate) if given.rate else None

    from mien.inversion import TuningConfig
    from mien.pipelines import VideoOptions, load, reenact_video
    from mien.pipelines.moving import MIXING, choose_method
    from mien.tracking import Smoothing

    options = VideoOptions(
        relative=given.relative,
        reference=read_reference(given.reference),
        smoothing=Smoothing() if given.smooth else None,
        paste=given.paste,
        strength=strength,
        grid=given.grid,
        source_face=source_face,
        driver_face=driver_face,
        missing=given.missing,
        batch=given.batch,
        rate=rate,
        method=None if given.method == "auto" else given.method,
        tune=TuningConfig() if given.tune else None,
    )
    model = load(given.bundle, given.device, given.tracker)
    if given.mask_layers:
        if choose_method(model.bundle, options.method) not in MIXING:
            raise InputError("--mask-layers belongs to --method stylemask and stylemask-refined")
        model = model.with_mask_layers(given.mask_layers)
    with progress_bar(Path(given.output).name) as update:
        report = reenact_video(model, given.source, given.driver, given.output, options, update)
    warn(report.notices)
    total = sum(report.seconds.values()) or 1.0
    shares = ", ".join(f"{stage} {100 * seconds / total:.0f} %" for stage, seconds in report.seconds.items())
    missing = f", {report.num_missing} without a face" if report.num_missing else ""
    noun = "frame" if report.num_frames == 1 else "frames"
    speed = f"{report.frames_per_second:.1f} frames/s on {model.device}"
    say(f"{report.output}: {report.num_frames} {noun}{missing}, {speed} ({shares})")
