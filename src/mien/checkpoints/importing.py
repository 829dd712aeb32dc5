"""Bundles from files that others published: read, recognised, converted, checked against each other, written whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from mien.alignment.crop import CROPS
from mien.checkpoints import directions
from mien.checkpoints.bundle import check_folder, find_bundle, load_bundle, save_bundle
from mien.checkpoints.contents import Bundle, Source, TrackerNetworks
from mien.checkpoints.layouts import convert_part
from mien.checkpoints.precision import parts_to_keep_exact
from mien.checkpoints.reader import read_foreign
from mien.errors import BundleError, CheckpointError, InputError
from mien.face3d import MotionSpace, arkit_motion_space, deca_motion_space, published_ranges
from mien.face3d.ranges import RANGES

Progress = Callable[[str, int, int], None]
PARTS = ("generator", "encoder", "directions", "masks", "deca")
NO_TRACKER = "none"


class Family(NamedTuple):
    """What the files of one published model have in common; None must be said by whoever imports them."""

    crop: str | None
    truncation: float | None
    ranges: str


FAMILIES: Mapping[str, Family] = {
    "voxceleb": Family("voxceleb", 0.7, "voxceleb"),
    "ffhq": Family("ffhq", 1.0, "ffhq"),
    "parts": Family(None, None, "voxceleb"),
}
"""FFHQ: ψ is 1, because its mask networks were trained on codes that were not truncated (METHODS section 7)."""


@dataclass(frozen=True, kw_only=True)
class ImportPlan:
    """What becomes a bundle. Every part but the generator may be left out; a part may also be taken from a bundle.

    Attributes:
        licence: the terms under which you hold these files, in your own words; stored in the bundle.
        generator: stylegan-voxceleb.pt, stylegan2-ffhq-config-f_1024.pt, a .pkl of NVIDIA's code, or a bundle.
        encoder: e4e-voxceleb.pt, e4e_ffhq_encode_1024.pt, or a bundle.
        directions: A_matrix.pt, or a bundle. Without it: no reenacting by directions, no editing.
        masks: mask_network_1024.pt, or a bundle. Without it: no --method stylemask.
        deca: deca_model.tar. Without it the coordinates of A_matrix.pt cannot be measured.
        tracker: bundle whose tracker finds faces and landmarks; "none" leaves it out.
        name: what the bundle is called; empty takes the folder's name.
        crop: head, voxceleb or ffhq; empty takes what goes with the family, or with a generator from a bundle.
        truncation: psi, 0 to 1; 0 takes what goes with the family, or with a generator from a bundle.
        ranges: table of working ranges for A_matrix.pt, voxceleb or ffhq; empty takes the family's.
        precision: auto stores in half what does not change the pictures by more than 1/255; full stores everything in
            single precision, half everything in half.
    """

    licence: str = ""
    generator: str = ""
    encoder: str = ""
    directions: str = ""
    masks: str = ""
    deca: str = ""
    tracker: str = "avatar"
    name: str = ""
    crop: str = ""
    truncation: float = 0.0
    ranges: str = ""
    precision: Literal["auto", "half", "full"] = "auto"


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes:
        folder: the bundle.
        parts: names of the networks in it.
        exact: those among them that are stored in single precision.
        notices: what the user should know, one sentence each: above all, which commands cannot run.
    """

    folder: Path
    parts: tuple[str, ...]
    exact: frozenset[str]
    notices: tuple[str, ...]


class _Taken(NamedTuple):
    """A network, where it came from, and what came with it: its file's tree or the bundle it was taken from."""

    network: Any
    source: Source
    tree: Any
    bundle: Bundle | None


def import_bundle(plan: ImportPlan, family: str, folder: Path, progress: Progress | None = None) -> Imported:
    """Read all files of a plan and write them as one bundle; nothing is written unless all of them fit.

    Args:
        family: a key of `FAMILIES`.
        progress: called before each step with what it is, its number from 0, and the number of steps.

    Raises:
        InputError: the plan leaves something out that only its author can know.
        CheckpointError: a file is damaged, hostile, another part than it is given as, or does not fit the others.
        OutputError: the bundle cannot be written there.
    """
    _check_plan(plan, family)
    check_folder(folder)
    wanted = [part for part in PARTS if getattr(plan, part)]
    total = len(wanted) + 2
    tell = progress or (lambda *_: None)
    taken: dict[str, _Taken] = {}
    for number, part in enumerate(wanted):
        place = getattr(plan, part)
        tell(f"reading {Path(place).name}", number, total)
        taken[part] = _take(part, place, plan.licence)
    bundle = _assembled(plan, FAMILIES[family], folder, taken)
    bundle.check()
    exact = frozenset(taken) if plan.precision == "full" else frozenset()
    if plan.precision == "auto":
        exact = parts_to_keep_exact(bundle, lambda part: tell(f"checking precision: {part}", total - 2, total))
    tell(f"writing {folder.name}", total - 1, total)
    save_bundle(bundle, folder, exact)
    tell("done", total, total)
    return Imported(folder, tuple(bundle.networks()), exact, bundle.missing())


def _check_plan(plan: ImportPlan, family: str) -> None:
    if family not in FAMILIES:
        raise InputError(f"unknown family {family!r}; known: {', '.join(FAMILIES)}")
    if not plan.generator:
        raise InputError("name a generator with --generator: without one nothing can be drawn")
    if not plan.licence.strip():
        raise InputError("say under which terms you hold these files: --licence TEXT (mien import --list has hints)")
    if plan.crop and plan.crop not in CROPS:
        raise InputError(f"unknown crop {plan.crop!r}; known: {', '.join(CROPS)}")
    if not 0 <= plan.truncation <= 1:
        raise InputError(f"truncation {plan.truncation} is outside 0 to 1")
    if plan.ranges and plan.ranges not in RANGES:
        raise InputError(f"unknown ranges {plan.ranges!r}; known: {', '.join(RANGES)}")


def _take(part: str, place: str, licence: str) -> _Taken:
    """A part from a file, or from a bundle if that is what the place is."""
    path = Path(place)
    if path.is_dir() or (len(path.parts) == 1 and not path.suffix and not path.exists()):
        return _take_from_bundle(part, place)
    foreign = read_foreign(path)
    try:
        network = convert_part(part, foreign.tree)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    tree = foreign.tree if part == "directions" else None  # the other trees are large and done with
    return _Taken(network, Source(foreign.name, foreign.sha256, licence), tree, None)


def _take_from_bundle(part: str, place: str) -> _Taken:
    folder, bundle = _opened(part, place)
    network = getattr(bundle, part)
    if network is None:
        raise bundle.refusal(part)
    return _Taken(network, _origin(folder, bundle, part), None, bundle)


def _tracker(place: str) -> tuple[TrackerNetworks | None, dict[str, Source]]:
    if place == NO_TRACKER:
        return None, {}
    folder, bundle = _opened("tracker", place)
    networks = bundle.need_tracker()
    there = [part for part, network in networks._asdict().items() if network is not None]
    return networks, {part: _origin(folder, bundle, part) for part in there}


def _opened(part: str, place: str) -> tuple[Path, Bundle]:
    try:
        folder = find_bundle(place)
    except BundleError as error:
        raise CheckpointError(f"--{part} {place}: no such file, and {error}") from error
    return folder, load_bundle(folder)


def _origin(folder: Path, bundle: Bundle, part: str) -> Source:
    """Where a part of another bundle came from: what that bundle says, or that bundle itself."""
    if part in bundle.sources:
        return bundle.sources[part]
    path = folder / f"{part}.safetensors"
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Source(f"{folder.name}/{path.name}", digest, str(bundle.card["licence"]))


def _assembled(plan: ImportPlan, family: Family, folder: Path, taken: Mapping[str, _Taken]) -> Bundle:
    """The parts as one bundle, with the crop, truncation and coordinates that go with them."""
    model = taken["generator"].bundle
    crop = plan.crop or family.crop or (model.crop if model is not None else "")
    truncation = plan.truncation or family.truncation or (model.truncation if model is not None else 0.0)
    if not crop or not truncation:
        raise InputError("say how faces are framed and codes truncated: --crop head|voxceleb|ffhq --truncation PSI")
    tracker, origins = _tracker(plan.tracker)
    sources = {part: one.source for part, one in taken.items()} | origins
    files = ", ".join(source.file for source in sources.values())
    parts: dict[str, Any] = {part: one.network for part, one in taken.items()}
    return Bundle(
        name=plan.name or folder.resolve().name,
        motion=_motion(plan.ranges or family.ranges, taken),
        truncation=truncation,
        crop=crop,
        tracker=tracker,
        card={"licence": plan.licence, "provenance": f"imported: {files}", "quality": {}},
        sources=sources,
        **{"encoder": None, "directions": None, **parts},
    )


def _motion(ranges: str, taken: Mapping[str, _Taken]) -> MotionSpace:
    """The coordinates that the directions read; without directions, those that the tracker measures."""
    if "directions" not in taken:
        return deca_motion_space(published_ranges(ranges)) if "deca" in taken else arkit_motion_space()
    one = taken["directions"]
    return directions.motion_space(one.tree, ranges) if one.bundle is None else one.bundle.motion
