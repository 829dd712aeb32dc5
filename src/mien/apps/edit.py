"""`mien edit PHOTO --yaw -30:30 -o sweep.mp4`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, make_dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from mien.apps.arguments import MethodChoice, Output, Tracker, read_face, read_range, read_rate
from mien.apps.screen import progress_bar, say, show_table, warn
from mien.errors import InputError

if TYPE_CHECKING:
    from mien.pipelines import Reading


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Put the person of a photo into another pose or expression.

    A single value gives a picture; a range START:END gives a video, or a strip if the output is a picture. The tracker
    reads the result, and what it measured is shown beside what was asked. Angles are degrees: positive yaw turns to the
    image's right, positive pitch looks up, positive roll tilts clockwise. All others are weights, 0 to 1, or -1 to 1
    for those with a direction; for bundles that read DECA's parameters (mien import), jaw_open is in radians and
    expressions in sigmas.
    """

    photo: tyro.conf.Positional[str]
    """Picture of the person."""
    output: Output
    """Result: a picture, or .mp4 .m4v .mov .mkv for a range."""
    method: MethodChoice = "auto"
    """How coordinates become a picture: directions; one-shot, which also refines features; or stylemask, which moves
    only channels of the pose (stylemask-refined: refined, too). auto: one-shot where the bundle can."""
    grid: bool = False
    """All combinations of two ranges as one picture."""
    paste: bool = False
    """Put the result back into the whole photo."""
    verify: bool = True
    """Read the result with the tracker."""
    tune: bool = False
    """Tune the generator to the photo first: 200 steps, a better likeness, slow without a GPU."""
    source_face: str = ""
    """Which face: left, right, largest or its number from the left (0, 1, ...)."""
    frames: int = 50
    """Pictures of a range as a video."""
    panels: int = 7
    """Pictures of a range as a strip, or along each side of a grid."""
    rate: str = "25"
    """Frames per second of a range as a video."""
    device: str = "auto"
    """cpu, cuda, cuda:N, mps or auto."""
    tracker: Tracker = "embedded"
    """What measures faces."""
    bundle: str = "avatar"
    """Name or folder of the bundle."""


def _with_coordinates(names: Sequence[str], units: Sequence[str]) -> type:
    """`Arguments` with one option per coordinate."""
    options = [
        (
            name,
            Annotated[str, tyro.conf.arg(metavar=f"{unit}[:{unit}]", help="", help_behavior_hint="")],
            field(default=""),
        )
        for name, unit in zip(names, units, strict=True)
    ]
    made = make_dataclass("Arguments", options, bases=(Arguments,), frozen=True, kw_only=True)
    made.__doc__ = Arguments.__doc__
    return made


def _coordinates(words: Sequence[str]) -> tuple[str, ...]:
    """The coordinates of the bundle that is named, or of the default one, and the short names that they have."""
    from mien.checkpoints.bundle import read_coordinates
    from mien.pipelines.driving import SHORT_NAMES

    joined = [part for word in words for part in word.split("=", 1)]
    place = joined.index("--bundle") + 1 if "--bundle" in joined else len(joined)
    names = read_coordinates(joined[place] if place < len(joined) else Arguments.bundle)
    short = tuple(name for name, members in SHORT_NAMES.items() if set(members) <= set(names))
    return tuple(name for name in (*names, *short) if name not in Arguments.__dataclass_fields__)


def run(words: Sequence[str]) -> None:
    """Parse the words after `mien edit` and do it."""
    from mien.face3d.motion import ANGLE_NAMES

    names = _coordinates(words)
    units = ["DEG" if name in ANGLE_NAMES else "WEIGHT" for name in names]
    config = (tyro.conf.FlagCreatePairsOff,)
    given = tyro.cli(_with_coordinates(names, units), args=words, prog="mien edit", config=config)
    texts = {name: getattr(given, name) for name in names}
    targets = {name: read_range(name, text) for name, text in texts.items() if text}
    if not targets:
        raise InputError("name at least one coordinate, such as --yaw 15 or --mouth-smile 0:1")
    source_face = read_face(given.source_face) if given.source_face else None
    rate = read_rate(given.rate)

    from mien.inversion import TuningConfig
    from mien.pipelines import EditOptions, edit_photo, load

    options = EditOptions(
        source_face=source_face,
        num_frames=given.frames,
        num_panels=given.panels,
        rate=rate,
        tune=TuningConfig() if given.tune else None,
        grid=given.grid,
        paste=given.paste,
        verify=given.verify,
        method=None if given.method == "auto" else given.method,
    )
    model = load(given.bundle, given.device, given.tracker)
    with progress_bar("tune") as update:
        report = edit_photo(model, given.photo, given.output, targets, options, update)
    warn(report.notices)
    say(f"{given.output}: {', '.join(f'{name} {texts[name]}' for name in targets)}")
    if report.readings:
        columns = ("picture", "coordinate", "asked", "measured", "")
        show_table(
            f"measured by the tracker ({given.tracker})", columns, [_row(reading) for reading in report.readings]
        )


def _row(reading: Reading) -> tuple[str, ...]:
    """A line of the table: pictures counted from 1, degrees with one decimal, weights with two."""
    from mien.face3d.motion import ANGLE_NAMES

    form = ".1f" if reading.name in ANGLE_NAMES else ".2f"
    asked, given = format(reading.asked, form), format(reading.given, form)
    measured = "no face" if reading.measured is None else format(reading.measured, form)
    note = "" if asked == given else f"cut to {given}, the trained range"
    return str(reading.picture + 1), reading.name, asked, measured, note
