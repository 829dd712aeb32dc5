"""What is left of a person after inversion? Held-out photographs, found, framed and drawn again by a bundle.

Portraits of nobody real and photographs of real people that no network was trained on, through the same steps as
`identify`. Identity by the independent network of the data pack, beside its cosine between different people; the
smile that the pairs of the London set differ in, as MediaPipe reads it before and after.

    python benchmarks/quality/inversion.py --bundle avatar
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from instruments import (
    CONSOLE,
    ReidentificationNet,
    data_folder,
    enlarged,
    inversions_of,
    measure,
    named_coordinates,
    plain,
    report,
    shown,
)
from rich.table import Table

from mien.errors import NoFaceError
from mien.images import grid, resize, to_tensor, write_image
from mien.metrics.identity import cosine
from mien.pipelines.moving import Method
from mien.pipelines.reenactor import Reenactor, load
from mien.tracking.material import load_photographs
from mien.tracking.mediapipe import MediaPipeTracker

NUM_PORTRAITS = 40
"""Of the held-out photographs the first; the rest is the London set, two of each person."""
SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to measure.

    Attributes:
        bundle: name or folder of the bundle.
        data: the data pack; default MIEN_DATA or ../shared/data.
        picture: where to draw the first photographs above what became of them; None draws nothing. Not to be
            published: it shows real people.
        name: name of the result files.
    """

    bundle: str = "avatar"
    data: Path | None = None
    picture: Path | None = None
    name: str = "inversion"


def redrawn(
    model: Reenactor, photographs: list[np.ndarray], methods: tuple[Method, ...]
) -> tuple[np.ndarray, dict[Method, np.ndarray], np.ndarray]:
    """Crops and their inversions (N, S, S, 3) uint8, and the numbers of the photographs in which a face was found."""
    crops, rows = [], []
    made: dict[Method, list[np.ndarray]] = {method: [] for method in methods}
    for row, photograph in enumerate(photographs):
        try:
            identity = model.identify(photograph)
        except NoFaceError:
            continue
        crops.append(identity.crop.apply(photograph))
        for method in methods:
            made[method].append(model.edit(identity, method))
        rows.append(row)
    return np.stack(crops), {method: np.stack(pictures) for method, pictures in made.items()}, np.array(rows)


def main(settings: Settings) -> None:
    """Measures both kinds of photographs."""
    data, model = data_folder(settings.data), load(settings.bundle)
    faces = load_photographs("held_out", data)
    photographs = [faces.pictures[owner] for owner in faces.owner]
    methods = inversions_of(model)
    crops, made, rows = redrawn(model, photographs, methods)
    CONSOLE.log(f"{len(rows)} of {len(photographs)} photographs found and inverted")
    judge, net = MediaPipeTracker(data / "models" / "face_landmarker.task"), ReidentificationNet(data)
    results = {}
    for name, chosen in (("portraits", rows < NUM_PORTRAITS), ("London set", rows >= NUM_PORTRAITS)):
        for method in methods:
            results[f"{name}, {method}"] = compared(judge, net, crops[chosen], made[method][chosen])
    if settings.picture is not None:
        index = np.linspace(0, len(crops) - 1, SHOWN).astype(int)
        shown_rows = [crops[index], *(made[method][index] for method in methods)]
        write_image(settings.picture, grid(np.concatenate(shown_rows), SHOWN))
    report(settings.name, settings, results, table_of(results))


def compared(
    judge: MediaPipeTracker, net: ReidentificationNet, crops: np.ndarray, made: np.ndarray
) -> dict[str, float | None]:
    """Means over the pictures in which a face is found before and after."""
    before, after = enlarged(list(crops)), enlarged(list(made))
    seen, found = measure(judge, before), measure(judge, after)
    both = seen.valid & found.valid
    first, second = (net.embed(p, f)[both] for p, f in ((before, seen), (after, found)))
    every = torch.nn.functional.normalize(second) @ torch.nn.functional.normalize(first).T
    count = len(every)
    smile = [named_coordinates(face)["mouth_smile"][both] for face in (seen, found)]
    change = (resize(to_tensor(made), crops.shape[1]) - to_tensor(crops)).abs().mean() * 127.5
    return {
        "pictures": float(count),
        "found": plain(found.valid.float().mean()),
        "cosine": plain(cosine(first, second).mean()),
        "different people": plain((every.sum() - every.trace()) / (count * (count - 1))),
        "smile r": plain(torch.corrcoef(torch.stack(smile))[0, 1]),
        "absolute error": plain(change),
    }


def table_of(results: dict[str, dict[str, float | None]]) -> Table:
    """One row for each kind of photograph."""
    table = Table(
        title="Inversion of held-out photographs",
        caption="Cosine of the independent network between photograph and inversion; absolute error in levels of 255.",
    )
    columns = ("pictures", "found", "cosine", "different people", "smile r", "absolute error")
    for column in ("photographs", *columns):
        table.add_column(column)
    for name, values in results.items():
        table.add_row(name, *(shown(values[c], 0 if c == "pictures" else 2) for c in columns))
    return table


if __name__ == "__main__":
    main(tyro.cli(Settings))
