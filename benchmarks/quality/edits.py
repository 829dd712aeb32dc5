"""What arrives of an expression that is asked of a photograph, and is it still the same person?

Held-out photographs close their eyes, smile, open their mouths and look aside (`mien edit`). MediaPipe reads the
coordinate at rest and after the edit; the independent network of the data pack compares the result with the photograph.
The embedded tracker, which training listens to, is not asked.

    python benchmarks/quality/edits.py --bundle avatar --others runs/another-bundle
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from instruments import (
    CONSOLE,
    ReidentificationNet,
    TrackerName,
    data_folder,
    enlarged,
    inversions_of,
    likeness,
    measure,
    named_coordinates,
    own_tracker,
    plain,
    report,
    shown,
)
from rich.progress import track
from rich.table import Table

from mien.pipelines.reenactor import load
from mien.tracking.material import load_photographs
from mien.tracking.mediapipe import MediaPipeTracker

EDITS: dict[str, tuple[str, dict[str, float]]] = {
    "eyes closed": ("blink", {"blink": 1.0}),
    "smile .9": ("mouth_smile", {"smile": 0.9}),
    "jaw .6": ("jaw_open", {"jaw_open": 0.6}),
    "gaze .7": ("gaze_x", {"gaze_x": 0.7}),
}
"""What is asked → the coordinate that is read, and the edit."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to measure.

    Attributes:
        bundle: name or folder of the bundle.
        others: bundles that are measured beside it.
        data: the data pack; default MIEN_DATA or ../shared/data.
        count: held-out portraits.
        tracker: what the bundles measure faces with.
        name: name of the result files.
    """

    bundle: str = "avatar"
    others: tuple[str, ...] = ()
    data: Path | None = None
    count: int = 24
    tracker: TrackerName = "embedded"
    name: str = "edits"


def main(settings: Settings) -> None:
    """Edits every portrait with every bundle and method."""
    data = data_folder(settings.data)
    judge, net = MediaPipeTracker(data / "models" / "face_landmarker.task"), ReidentificationNet(data)
    faces = load_photographs("held_out", data)
    photographs = [faces.pictures[owner] for owner in faces.owner[: settings.count]]
    rows = []
    for folder in (settings.bundle, *settings.others):
        model = load(folder, tracker=own_tracker(settings.tracker, data))
        for method in inversions_of(model):
            judged: dict[str, list[torch.Tensor]] = {what: [] for what in EDITS}
            for photograph in track(photographs, f"{Path(folder).name} {method}", console=CONSOLE):
                identity = model.identify(photograph)
                still = model.edit(identity, method)
                drawn = [model.edit(identity, method, **values) for _, values in EDITS.values()]
                pictures = enlarged([identity.image, still, *drawn])
                seen = measure(judge, pictures)
                like, read = likeness(net, pictures, seen), named_coordinates(seen)
                for place, (what, (coordinate, _)) in enumerate(EDITS.items(), start=2):
                    found = seen.valid[[0, 1, place]].all()
                    ends = read[coordinate][1], read[coordinate][place]
                    judged[what].append(torch.stack([found.float(), *ends, like[place]]))
            rows += [row_of(Path(folder).name, method, what, torch.stack(values)) for what, values in judged.items()]
    report(settings.name, settings, {"rows": rows}, table_of(rows))


def row_of(bundle: str, method: str, what: str, judged: torch.Tensor) -> dict[str, str | float | None]:
    """Means of found, read before, read after and likeness (N, 4); all but the first over pictures with a face."""
    seen = judged[judged[:, 0] > 0].mean(0)
    numbers = {"found": judged[:, 0].mean(), "before": seen[1], "after": seen[2], "cosine": seen[3]}
    return {"bundle": bundle, "method": method, "edit": what} | {name: plain(value) for name, value in numbers.items()}


def table_of(rows: list[dict[str, str | float | None]]) -> Table:
    """One row per bundle and method, a column per edit."""
    caption = "MediaPipe before → after / identity cosine with the photograph."
    table = Table(title="Expressions asked of photographs", caption=caption)
    for column in ("bundle", "method", *EDITS):
        table.add_column(column)
    for bundle, method in dict.fromkeys((row["bundle"], row["method"]) for row in rows):
        mine = [row for row in rows if (row["bundle"], row["method"]) == (bundle, method)]
        cells = [f"{_number(row, 'before')} → {_number(row, 'after')} / {_number(row, 'cosine')}" for row in mine]
        table.add_row(str(bundle), str(method), *cells)
    return table


def _number(row: dict[str, str | float | None], name: str) -> str:
    value = row[name]
    return shown(value if isinstance(value, float) else None)


if __name__ == "__main__":
    main(tyro.cli(Settings))
