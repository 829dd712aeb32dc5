"""Does the identity net know people again? On renders of held-out people, and on photographs of real ones.

Renders: plain, and with replaced backgrounds and shifted colours as in training, so that the scene cannot give a person
away. Photographs: two pictures each of the London set (neutral, smiling), which no network of ours learned identity
from; beside it the independent network of the data pack on the same pictures.

    python benchmarks/quality/identity.py --identity runs/identity --renders renders/held_out
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from instruments import CONSOLE, ReidentificationNet, data_folder, report, shown
from rich.table import Table

from mien.alignment import head_crop
from mien.images import read_image, shrink_to, to_tensor
from mien.metrics import verification
from mien.perception import IdentityNet
from mien.synth.dataset import RenderedHeads
from mien.tracking.material import labelled_params
from mien.training.parts import load_identity
from mien.training.recipes.identity import disguise

HEAD_REGIONS = (1, 2, 3, 4, 5)
CROP_PX = 128


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to measure.

    Attributes:
        identity: folder of an `identity` run.
        renders: rendered heads of the held-out split.
        data: the data pack; default MIEN_DATA or ../shared/data.
        count: at most this many renders.
        bundle: unused here; part of every report.
        name: name of the result files.
    """

    identity: Path
    renders: Path
    data: Path | None = None
    count: int = 1200
    bundle: str = "none"
    name: str = "identity"


def main(settings: Settings) -> None:
    """Measures renders and photographs."""
    data = data_folder(settings.data)
    net = load_identity(settings.identity)
    heads = RenderedHeads(settings.renders)
    rows = np.arange(min(settings.count, len(heads)))
    person = torch.from_numpy(np.asarray(heads.person)[rows])
    results = {
        "renders": verification(embed_renders(net, heads, rows, plain), person),
        "renders, disguised": verification(embed_renders(net, heads, rows, disguised), person),
    } | photographs(net, data)
    report(settings.name, settings, {"results": results}, table_of(results))


def plain(images: torch.Tensor, head: torch.Tensor, first: int) -> torch.Tensor:
    """The pictures as they are."""
    return images


def disguised(images: torch.Tensor, head: torch.Tensor, first: int) -> torch.Tensor:
    """Other backgrounds and shifted colours, as in training."""
    return disguise(images, head, torch.Generator().manual_seed(first))


@torch.no_grad()
def embed_renders(
    net: IdentityNet,
    heads: RenderedHeads,
    rows: np.ndarray,
    prepare: Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor],
) -> torch.Tensor:
    """Unit embeddings (N, E) of rendered frames."""
    side, found = net.config.resolution, []
    for index in np.array_split(rows, max(len(rows) // 64, 1)):
        images = shrink_to(to_tensor(heads.images(index)), side)
        matte = torch.from_numpy(np.isin(heads.regions[index], HEAD_REGIONS).astype(np.float32))[:, None]
        found.append(net(prepare(images, shrink_to(matte, side), int(index[0]))))
    return torch.cat(found)


@torch.no_grad()
def photographs(net: IdentityNet, data: Path) -> dict[str, dict[str, float]]:
    """Both nets on the London set: two pictures of every person."""
    folder = data / "faces" / "london_ccby"
    labels = np.load(folder / "labels.npz")
    points = labels["landmarks"] - (0.5, 0.5, 0)
    faces = labelled_params(points, labels["blendshapes"], labels["transforms"], data)
    pictures = [read_image(folder / str(file)) for file in labels["files"]]
    crops = [
        head_crop(p.numpy(), a.numpy(), CROP_PX).apply(picture)
        for p, a, picture in zip(faces.landmarks, faces.angles, pictures, strict=True)
    ]
    person = torch.from_numpy(np.unique(labels["identity"], return_inverse=True)[1])
    CONSOLE.log(f"{len(pictures)} photographs of {len(person.unique())} people")
    other = ReidentificationNet(data)
    return {
        "photographs": verification(net(to_tensor(crops)), person),
        f"photographs: {other.NAME}": verification(other.embed(pictures, faces), person),
    }


def table_of(results: dict[str, dict[str, float]]) -> Table:
    """One row per set."""
    table = Table(title="Identity", caption="Cosines of embeddings over all pairs of pictures.")
    for column in ("set", "same person", "two people", "± of it", "area under ROC", "rank 1"):
        table.add_column(column)
    for name, row in results.items():
        values = (shown(row["same"]), shown(row["different"]), shown(row["spread"]), shown(row["auc"], 4))
        table.add_row(name, *values, f"{row['rank1']:.0%}")
    return table


if __name__ == "__main__":
    main(tyro.cli(Settings))
