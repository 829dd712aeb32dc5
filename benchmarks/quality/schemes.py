"""Every training scheme, every baseline and every ablation of directions, judged on the same held-out renders.

Each trained row is a short run of recipe `direction` from the same start; the baselines need no training. Sources are
inverted once, by the encoder and the directions of the generator's run, so that all rows move the same codes and differ
in A alone. Judged are pairs of renders of people that no network was trained on, whose true parameters are known; and
single coordinates that are moved one at a time. The runs stay in a folder, so that a second call only judges.

    python benchmarks/quality/schemes.py --generator runs/autoencoder --identity runs/identity --tracker runs/tracker
        --renders renders/train --held-out renders/held_out
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from instruments import CONSOLE, data_folder, enlarged, measure, plain, report, shown
from pairs import draw_pairs, mediapipe_coordinates, motion_errors
from rich.progress import track
from rich.table import Table

from mien.errors import NoFaceError
from mien.face3d.motion import Q_LIMIT
from mien.face3d.params import FaceParams
from mien.images import to_tensor
from mien.methods import DirectionMatrix
from mien.metrics import IdentityCosine, ImageQuality
from mien.perception import IdentityNet
from mien.pipelines import BASELINES, Identity, Reenactor, baseline_model, load
from mien.pipelines.baselines import reader
from mien.synth.dataset import RenderedHeads
from mien.tracking.mediapipe import MediaPipeTracker
from mien.training.assemble import Assembly, assemble
from mien.training.engine import RunConfig
from mien.training.parts import load_directions, load_generator, load_identity
from mien.training.recipes import direction
from mien.training.recipes.direction import DirectionRecipe
from mien.training.schemes import PUBLISHED_WEIGHTS

MOVED_TO = Q_LIMIT / 2
"""Single coordinates are moved to plus and minus this; the targets lie within the working range."""


GROUPS = ("same", "other")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to train and to judge.

    Attributes:
        generator: run of recipe `autoencoder`: generator, encoder, and the A that inverts and that may be the start.
        identity, tracker: runs of those recipes.
        renders: rendered heads of the training split, for pairs and as real pictures.
        held_out: rendered heads of the held-out split.
        data: the data pack; default MIEN_DATA or ../shared/data.
        runs: folder for the runs.
        steps: of every run; a schedule of three schemes takes a third of them each.
        batch, lr: of every run.
        pairs: number of pairs, half of them of one person.
        sources: of the pairs' sources, how many are moved along single coordinates.
        only: names of rows; empty takes all.
        seed: of the draw of pairs.
        bundle: unused here; part of every report.
        name: name of the result files.
    """

    generator: Path
    identity: Path
    tracker: Path
    renders: Path
    held_out: Path
    data: Path | None = None
    runs: Path = Path("runs/schemes")
    steps: int = 100
    batch: int = 8
    lr: float = 3e-3
    pairs: int = 50
    sources: int = 3
    only: tuple[str, ...] = ()
    seed: int = 0
    bundle: str = "none"
    name: str = "schemes"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A row that is trained: changes to `DirectionRecipe`, for each run of a schedule.

    Attributes:
        stages: changes, one mapping per run; each run starts where the last ended.
        from_start: begin with the A of the generator's run instead of N(0, 0.03²).
        truncation: ψ with which the result is judged.
        resampled: judge with w̄ drawn anew, as the released code does.
    """

    stages: Sequence[Mapping[str, Any]]
    from_start: bool = False
    truncation: float = 1.0
    resampled: int = 0


def _without(*names: str) -> dict[str, float]:
    return PUBLISHED_WEIGHTS | dict.fromkeys(names, 0.0)


MIXED: Mapping[str, Any] = {"scheme": "mixed"}
VARIANTS: dict[str, Variant] = {
    "synthetic": Variant(stages=({"scheme": "synthetic"},)),
    "real": Variant(stages=({"scheme": "real"},)),
    "mixed": Variant(stages=(MIXED,)),
    "paired": Variant(stages=({"scheme": "paired"},)),
    "synthetic, mixed, paired": Variant(stages=tuple({"scheme": s} for s in ("synthetic", "mixed", "paired"))),
    "mixed from the pairs' A": Variant(stages=({**MIXED, "lr": 1e-4},), from_start=True),
    "paired from the pairs' A": Variant(stages=({"scheme": "paired", "lr": 1e-4},), from_start=True),
    "mixed, no single coordinates": Variant(stages=({**MIXED, "single_share": 0.0},)),
    "mixed, bias": Variant(stages=({**MIXED, "bias": True},)),
    "mixed, psi .7": Variant(stages=({**MIXED, "truncation": 0.7},), truncation=0.7),
    "mixed, psi .7, mean re-sampled": Variant(
        stages=({**MIXED, "truncation": 0.7, "resampled_mean": 4096},), truncation=0.7, resampled=4096
    ),
    "mixed, 12 of 12 rows": Variant(stages=({**MIXED, "rows": 12},)),
    "mixed, W": Variant(stages=({**MIXED, "rows": 12, "tied": True},)),
    "mixed, no shape": Variant(stages=({**MIXED, "weights": _without("shape")},)),
    "mixed, no eyes and mouth": Variant(stages=({**MIXED, "weights": _without("eye", "mouth")},)),
    "mixed, no identity": Variant(stages=({**MIXED, "weights": _without("id")},)),
    "mixed, no features": Variant(stages=({**MIXED, "weights": _without("perceptual")},)),
}
UNTOUCHED = "the pairs' A, untouched"
ROWS = 10
"""Rows of A unless a variant says otherwise: as many as the default bundle's."""


@dataclass(frozen=True)
class Case:
    """A pair: the inverted source, the target's measured motion, its true parameters, and the pictures."""

    identity: Identity
    motion: FaceParams
    truth: FaceParams
    source: np.ndarray
    target: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What all rows are judged on and with."""

    model: Reenactor
    judge: MediaPipeTracker
    net: IdentityNet
    groups: Mapping[str, Sequence[Case]]
    sources: int


def main(settings: Settings) -> None:
    """Trains what is not trained yet and judges every row."""
    bench = prepare(settings)
    rows: dict[str, dict[str, Any]] = {}
    names = [*(f"baseline: {name}" for name in BASELINES), UNTOUCHED, *VARIANTS]
    for name in [name for name in names if not settings.only or name in settings.only]:
        started = time.perf_counter()
        model = model_of(name, bench, settings)
        trained = time.perf_counter()
        rows[name] = scores(model, bench) | {"seconds": round(trained - started, 1)}
        CONSOLE.log(f"{name}: made in {trained - started:.0f} s, judged in {time.perf_counter() - trained:.0f} s")
    truth = {group: judged(bench, [case.target for case in cases], cases) for group, cases in bench.groups.items()}
    report(settings.name, settings, {"truth": truth, "rows": rows}, table_of(rows, truth))


def prepare(settings: Settings) -> Bench:
    """Inverts the sources and measures the targets of all pairs, once."""
    heads, rng = RenderedHeads(settings.held_out), np.random.default_rng(settings.seed)
    with tempfile.TemporaryDirectory() as folder:
        plan = Assembly(generator=settings.generator, tracker=settings.tracker, roll_deg=20.0)
        model = load(str(assemble(plan, Path(folder) / "start")), "cpu")
    groups: dict[str, list[Case]] = {}
    for group, pairs in draw_pairs(heads, settings.pairs, rng).items():
        groups[group] = []
        for pair in track(pairs, description=f"{group} person", console=CONSOLE):
            source, target = heads.images(np.array(pair))
            try:
                identity, motion = model.identify(source, face="largest"), model.measure(target)
            except NoFaceError:
                continue
            truth = heads.params(np.array([pair[1]]))
            groups[group].append(Case(identity, motion, truth, source, target))
    judge = MediaPipeTracker(data_folder(settings.data) / "models" / "face_landmarker.task")
    net = load_identity(settings.identity)
    return Bench(model=model, judge=judge, net=net, groups=groups, sources=settings.sources)


def model_of(name: str, bench: Bench, settings: Settings) -> Reenactor:
    """The model of a row: it shares all but A (and ψ, w̄ where the row says so) with the others."""
    model = bench.model
    for baseline in BASELINES:
        if name == f"baseline: {baseline}":
            codes = torch.cat([case.identity.code for cases in bench.groups.values() for case in cases])
            return baseline_model(model, baseline, codes)
    if name == UNTOUCHED:
        return model
    variant = VARIANTS[name]
    generator = model.bundle.generator
    if variant.resampled:
        generator = load_generator(settings.generator)
        direction.resample_mean(generator, variant.resampled, seed=settings.seed + 1)
    bundle = replace(
        model.bundle,
        directions=trained_directions(name, variant, settings),
        generator=generator,
        truncation=variant.truncation,
    )
    return Reenactor(bundle, tracker=model.tracker)


def trained_directions(name: str, variant: Variant, settings: Settings) -> DirectionMatrix:
    """The A of a variant, after the runs that are not there yet."""
    start = settings.generator if variant.from_start else None
    for number, changes in enumerate(variant.stages):
        out = settings.runs / "".join(c if c.isalnum() else "_" for c in name) / str(number)
        common: dict[str, Any] = {"lr": settings.lr, "rows": ROWS, "scheme": "mixed"}
        recipe = DirectionRecipe(
            generator=settings.generator,
            identity=settings.identity,
            tracker=settings.tracker,
            encoder=settings.generator,
            inversion="fixed",
            portraits=settings.renders,
            data=settings.renders,
            start=start,
            batch=settings.batch,
            **{**common, **changes},
        )
        steps = settings.steps // len(variant.stages)
        direction.train(recipe, RunConfig(out=out, steps=steps, device="cpu", sample_every=0, save_every=steps))
        start = out
    assert start is not None
    return load_directions(start)


@torch.no_grad()
def scores(model: Reenactor, bench: Bench) -> dict[str, Any]:
    """Everything that is measured of a row."""
    found: dict[str, Any] = {}
    for group, cases in bench.groups.items():
        pictures = [
            model.render(case.identity, model.change(case.identity, case.motion), "directions")[0] for case in cases
        ]
        found[group] = judged(bench, pictures, cases)
    identities = [case.identity for cases in bench.groups.values() for case in cases][: bench.sources]
    return found | {"single": single_moves(model, identities)}


@torch.no_grad()
def judged(bench: Bench, pictures: Sequence[np.ndarray], cases: Sequence[Case]) -> dict[str, Any]:
    """Errors by MediaPipe against the true parameters, identity cosines, and L1 to the true picture."""
    space, truth = bench.model.bundle.motion, FaceParams.cat([case.truth for case in cases])
    errors = motion_errors(
        measure(bench.judge, enlarged(pictures)), truth, space, mediapipe_coordinates(space)
    )  # fmt: skip
    batch, sources, targets = (
        to_tensor(np.stack(images))
        for images in (pictures, [case.source for case in cases], [case.target for case in cases])
    )
    cosines = {}
    for name, other in (("source", sources), ("target", targets)):
        metric = IdentityCosine()
        metric.update(bench.net(batch), bench.net(other))
        cosines[name] = plain(metric.result().mean)
    quality = ImageQuality()
    quality.update(batch, targets)
    angles = [value for value in errors["angles_deg"].values() if value is not None]
    return {
        "found": errors["found"],
        "angles_deg": errors["angles_deg"],
        "pose_deg": plain(float(np.mean(angles))) if angles else None,
        "expression": errors["expression"],
        "identity": cosines,
        "l1": plain(quality.result()["l1"]),
    }


@torch.no_grad()
def single_moves(model: Reenactor, identities: Sequence[Identity]) -> dict[str, Any]:
    """Each coordinate moved alone: the share that arrives, and what the others move meanwhile (cross-talk).

    Read by the model's own tracker: (q of the picture at +3 − q at −3) / 6. Coordinates of a source that face no
    reading are left out. Gains are means of the diagonal, ideally 1; `crosstalk` of the absolute rest, ideally 0.
    """
    k = len(model.bundle.motion)
    read = reader(model)
    slopes = []
    for identity in identities:
        assert identity.coordinates is not None
        ends = []
        for sign in (1.0, -1.0):
            change = torch.diag_embed(sign * MOVED_TO - identity.coordinates[0])
            pictures = model.render(identity, change, "directions")
            ends.append(read(to_tensor(pictures)))
        slopes.append((ends[0] - ends[1]) / (2 * MOVED_TO))
    slope = torch.stack(slopes).nanmean(0).nan_to_num(0.0)
    own = torch.eye(k, dtype=torch.bool)
    return {
        "gain_pose": plain(slope.diagonal()[:3].mean()),
        "gain_rest": plain(slope.diagonal()[3:].mean()),
        "crosstalk": plain(slope[~own].abs().mean()),
        "by_coordinate": {name: plain(slope[i, i]) for i, name in enumerate(model.bundle.motion.names)},
    }


def table_of(rows: Mapping[str, Any], truth: Mapping[str, Any]) -> Table:
    """One row per scheme, baseline and ablation, and one for the instrument on the true pictures."""
    table = Table(
        title="Schemes, baselines, ablations",
        caption="Errors by MediaPipe against the true parameters: pose in degrees (mean of yaw, pitch, roll), "
        "expression as a share of its range; same: source and target are one person; id: cosine of the own identity "
        "net to the source; L1 to the true picture; gain: share of a move along one coordinate that the bundle's "
        "tracker sees arrive, mean over the angles and over the rest; cross-talk: what another coordinate then moves.",
    )
    heads = ("row", "pose, same", "pose, other", "expr., same", "expr., other", "id, same", "id, other", "L1, same")
    for column in (*heads, "gain, pose", "gain, rest", "cross-talk", "faces found"):
        table.add_column(column)
    for name, row in {"true pictures": truth, **rows}.items():
        cells = [shown(row[group]["pose_deg"]) for group in GROUPS]
        cells += [shown(row[group]["expression"], 3) for group in GROUPS]
        cells += [shown(row[group]["identity"]["source"], 3) for group in GROUPS]
        single = row.get("single", {})
        cells += [shown(row["same"]["l1"], 3), shown(single.get("gain_pose")), shown(single.get("gain_rest"))]
        cells += [shown(single.get("crosstalk"), 3), shown(min(row[group]["found"] for group in GROUPS))]
        table.add_row(name, *cells)
    return table


if __name__ == "__main__":
    main(tyro.cli(Settings))
