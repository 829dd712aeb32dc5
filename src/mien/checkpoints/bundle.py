"""A bundle on disk: one folder with `bundle.json` and one safetensors file per part."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Collection, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save_file

from mien.alignment.crop import CROPS
from mien.checkpoints.contents import Bundle, Source, TrackerNetworks
from mien.checkpoints.folders import refuse_other, whole_folder
from mien.checkpoints.formats import (
    NETWORKS,
    TRACKER_EXTRAS,
    TRACKER_PARTS,
    kind_named,
    kind_of,
    motion_from_state,
    motion_to_state,
)
from mien.checkpoints.parts import Tensors, check_keys, from_disk, to_disk
from mien.errors import BundleError
from mien.face3d.motion import MotionSpace

KIND, VERSION = "mien-bundle", 1
HEADER = "bundle.json"
SEARCH_VARIABLE = "MIEN_BUNDLES"
MAX_HEADER_BYTES = 2**20
MAX_PART_BYTES = 2**31
HEADER_KEYS = {"kind", "version", "name", "crop", "truncation", "coordinates", "parts", "card"}
PART_KEYS, PART_EXTRAS = {"file", "sha256", "config"}, {"kind", "source"}
CARD_KEYS = {"licence", "provenance", "quality"}
SOURCE_KEYS = {field.name for field in dataclasses.fields(Source)}


def find_bundle(name_or_path: str | os.PathLike[str]) -> Path:
    """The folder of a bundle: by path, or by name in the package and then in the folders of MIEN_BUNDLES.

    Raises:
        BundleError: nothing there; the message lists the names that exist.
    """
    given = Path(name_or_path)
    if given.is_file():
        advice = "a bundle is a folder of safetensors files; pickled checkpoints become one by `mien import`"
        raise BundleError(f"{given}: {advice}")
    folders = [given]
    if len(given.parts) == 1:
        folders = [*(root / given for root in _roots()), given]
    for folder in folders:
        if (folder / HEADER).is_file():
            return folder
    names = sorted({path.parent.name for root in _roots() for path in root.glob(f"*/{HEADER}")})
    raise BundleError(f"no bundle {str(given)!r}; known: {', '.join(names) or 'none'} (folders: {SEARCH_VARIABLE})")


def _roots() -> list[Path]:
    package = Path(str(resources.files("mien") / "assets"))
    return [package, *(Path(part) for part in os.environ.get(SEARCH_VARIABLE, "").split(os.pathsep) if part)]


def read_encoder(name_or_path: str | os.PathLike[str]) -> tuple[str, str]:
    """What kind of crop a bundle reads, and a name for what makes its codes, from its header alone.

    Returns:
        The kind of crop; the bundle's name and the sums of its encoder and directions.

    Raises:
        BundleError: not found, or its header is damaged.
    """
    folder = find_bundle(name_or_path)
    try:
        header = _read_header(folder)
        sums = [str(part["sha256"])[:8] for name, part in header["parts"].items() if name in ("encoder", "directions")]
    except (KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{folder}: malformed {HEADER} ({error!r})") from error
    return header["crop"], " ".join([str(header["name"]), *sums])


def read_coordinates(name_or_path: str | os.PathLike[str]) -> tuple[str, ...]:
    """The names of a bundle's coordinates, from its header alone.

    Raises:
        BundleError: not found, or its header is damaged.
    """
    folder = find_bundle(name_or_path)
    try:
        names = tuple(map(str, _read_header(folder)["coordinates"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"{folder}: malformed {HEADER} ({error!r})") from error
    if len(set(names)) < len(names) or not all(name.isidentifier() for name in names):
        raise BundleError(f"{folder}: malformed {HEADER}: coordinates must be different names")
    return names


def check_folder(folder: Path) -> None:
    """Make sure that a bundle may be written as this folder.

    Raises:
        OutputError: it holds something else, or is a file.
    """
    refuse_other(folder, HEADER, "bundle")


def save_bundle(bundle: Bundle, folder: str | os.PathLike[str], exact: Collection[str] = ()) -> Path:
    """Write a bundle; the folder appears, or replaces an older bundle, only when everything is written.

    Weights are stored in half precision except w̄ and the motion space, which stay exact.

    Args:
        exact: parts that stay in single precision too.

    Raises:
        BundleError: the card or the crop kind is incomplete or unknown.
        OutputError: the folder holds something else, or cannot be written.
    """
    folder = Path(folder)
    _check_card(bundle.card)
    if bundle.crop not in CROPS:
        raise BundleError(f"unknown crop kind {bundle.crop!r}; known: {', '.join(CROPS)}")
    with whole_folder(folder, HEADER, "bundle") as partial:
        _write(bundle, partial, exact)
    return folder


def _write(bundle: Bundle, folder: Path, exact: Collection[str]) -> None:
    parts: dict[str, Any] = {}
    networks = bundle.networks()
    for name in (*networks, "motion"):
        extras: dict[str, Any] = {}
        if name == "motion":
            config, tensors = motion_to_state(bundle.motion)
        else:
            known = kind_of(name, networks[name])
            config, tensors = known.format.to_state(networks[name])
            extras = {"kind": known.kind} if known.kind else {}
        if name in bundle.sources:
            extras["source"] = dataclasses.asdict(bundle.sources[name])
        path = folder / f"{name}.safetensors"
        save_file(to_disk(tensors, half=name != "motion" and name not in exact), path)
        path.chmod(0o644)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        parts[name] = {"file": path.name, "sha256": digest, "config": config, **extras}
    header = {
        "kind": KIND,
        "version": VERSION,
        "name": bundle.name,
        "crop": bundle.crop,
        "truncation": bundle.truncation,
        "coordinates": list(bundle.motion.names),
        "parts": parts,
        "card": dict(bundle.card),
    }
    (folder / HEADER).write_text(json.dumps(header, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load_bundle(name_or_path: str | os.PathLike[str], device: torch.device | str = "cpu") -> Bundle:
    """Read a bundle strictly: every key, size and checksum must be what the header says; nothing is unpickled.

    Raises:
        BundleError: not found, damaged, or not what it claims to be; the message names what does not fit.
    """
    folder = find_bundle(name_or_path)
    try:
        header = _read_header(folder)
        networks, motion, sources = _read_parts(folder, header)
        tracking = {n: networks.pop(n) for n in TRACKER_PARTS + TRACKER_EXTRAS if n in networks}
        tracker = TrackerNetworks(**tracking) if tracking else None
        bundle = Bundle(
            name=header["name"],
            motion=motion,
            truncation=float(header["truncation"]),
            crop=header["crop"],
            tracker=tracker,
            card=header["card"],
            sources=sources,
            **{"encoder": None, "directions": None, **networks},
        )
        bundle.check()
    except BundleError as error:
        raise BundleError(f"{folder}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"{folder}: malformed {HEADER} ({error!r})") from error
    return bundle.to(device)


def _read_header(folder: Path) -> dict[str, Any]:
    path = folder / HEADER
    if path.stat().st_size > MAX_HEADER_BYTES:
        raise BundleError(f"{HEADER} is too large")
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{HEADER} is not JSON ({error})") from error
    if not isinstance(header, dict) or header.get("kind") != KIND:
        raise BundleError(f"{HEADER} is not the header of a bundle")
    if header.get("version") != VERSION:
        raise BundleError(f"bundle version {header.get('version')} is not supported; this program reads {VERSION}")
    check_keys(HEADER, set(header), HEADER_KEYS)
    present = set(header["parts"])
    check_keys("parts", present - (set(NETWORKS) - {"generator"}), {"generator", "motion"})
    if present & {*TRACKER_PARTS, *TRACKER_EXTRAS}:
        check_keys("tracker", present & set(TRACKER_PARTS), set(TRACKER_PARTS))
    if header["crop"] not in CROPS:
        raise BundleError(f"unknown crop kind {header['crop']!r}")
    if not isinstance(header["truncation"], (int, float)) or not 0 < header["truncation"] <= 1:
        raise BundleError(f"truncation {header['truncation']!r} is not in (0, 1]")
    _check_card(header["card"])
    return header


def _check_card(card: Mapping[str, Any]) -> None:
    check_keys("card", set(card), CARD_KEYS)
    for name in ("licence", "provenance"):
        if not isinstance(card[name], str) or not card[name].strip():
            raise BundleError(f"card: {name} must be a text")


def _read_parts(folder: Path, header: Mapping[str, Any]) -> tuple[dict[str, Any], MotionSpace, dict[str, Source]]:
    """Networks by part, the motion space, and sources by part."""
    states = {name: _read_part(folder, name, part) for name, part in header["parts"].items()}
    motion = motion_from_state(header["coordinates"], *states.pop("motion"))
    networks, sources = {}, {}
    for name, part in header["parts"].items():
        if "source" in part:
            check_keys(f"parts.{name}.source", set(part["source"]), SOURCE_KEYS)
            sources[name] = Source(**{key: str(value) for key, value in part["source"].items()})
        if name in states:
            networks[name] = kind_named(name, part.get("kind", "")).format.from_state(*states.pop(name))
    return networks, motion, sources


def _read_part(folder: Path, name: str, part: Mapping[str, Any]) -> tuple[dict[str, Any], Tensors]:
    check_keys(f"parts.{name}", set(part) - PART_EXTRAS, PART_KEYS)
    if part["file"] != f"{name}.safetensors":
        raise BundleError(f"parts.{name}: the file must be {name}.safetensors, not {part['file']!r}")
    path = folder / part["file"]
    if not path.is_file() or path.stat().st_size > MAX_PART_BYTES:
        raise BundleError(f"{path.name} is missing or too large")
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != part["sha256"]:
        raise BundleError(f"{path.name} is damaged: its sha256 is not the one in {HEADER}")
    try:
        return dict(part["config"]), from_disk(load_tensors(data))
    except (SafetensorError, ValueError, TypeError) as error:
        raise BundleError(f"{path.name} cannot be read ({error})") from error
