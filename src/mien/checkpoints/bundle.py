"""A bundle: one folder with everything needed to reenact (`bundle.json` and one safetensors file per part)."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save_file

from mien.alignment.crop import CROPS
from mien.checkpoints.parts import NETWORKS, TRACKER_NETWORKS, Tensors, check_keys, from_disk, to_disk
from mien.errors import BundleError, OutputError
from mien.face3d.motion import MotionSpace
from mien.inversion.encoder import Encoder
from mien.methods.direction import DirectionMatrix
from mien.stylegan2 import Generator
from mien.tracking.detector import FaceDetector
from mien.tracking.regressor import FaceRegressor

KIND, VERSION = "mien-bundle", 1
HEADER = "bundle.json"
SEARCH_VARIABLE = "MIEN_BUNDLES"
MAX_HEADER_BYTES = 2**20
MAX_PART_BYTES = 2**31
HEADER_KEYS = {"kind", "version", "name", "crop", "truncation", "coordinates", "parts", "card"}
CARD_KEYS = {"licence", "provenance", "quality"}


class TrackerNetworks(NamedTuple):
    """The two networks of `mien.tracking.embedded.EmbeddedTracker`."""

    detector: FaceDetector
    regressor: FaceRegressor


@dataclass(frozen=True)
class Bundle:
    """Everything needed to reenact.

    Attributes:
        name: what it is called in reports.
        generator, encoder, directions: networks, frozen and in eval mode once loaded.
        motion: coordinates that `directions` reads.
        truncation: ψ of METHODS section 2, applied after the shift.
        crop: crop kind, a key of `mien.alignment.crop.CROPS`.
        tracker: the networks of the embedded tracker, or None when another tracker must be given.
        card: licence (text), provenance of the training data (text), quality (name → number).
    """

    name: str
    generator: Generator
    encoder: Encoder
    directions: DirectionMatrix
    motion: MotionSpace
    truncation: float
    crop: str
    tracker: TrackerNetworks | None
    card: Mapping[str, Any]

    @property
    def w_mean(self) -> torch.Tensor:
        """(D,) centre of truncation w̄, stored with the generator."""
        return self.generator.w_mean

    def to(self, device: torch.device | str) -> Bundle:
        """This bundle with its networks moved to another device, in place."""
        for network in (self.generator, self.encoder, self.directions, *(self.tracker or ())):
            network.to(device)
        return self


def find_bundle(name_or_path: str | os.PathLike[str]) -> Path:
    """The folder of a bundle: by path, or by name in the package and then in the folders of MIEN_BUNDLES.

    Raises:
        BundleError: nothing there; the message lists the names that exist.
    """
    given = Path(name_or_path)
    if given.is_file():
        advice = "a bundle is a folder of safetensors files; pickled checkpoints are not opened"
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


def save_bundle(bundle: Bundle, folder: str | os.PathLike[str]) -> Path:
    """Write a bundle; the folder appears, or replaces an older bundle, only when everything is written.

    Weights are stored in half precision except w̄ and the motion space, which stay exact.

    Raises:
        BundleError: the card or the crop kind is incomplete or unknown.
        OutputError: the folder holds something else, or cannot be written.
    """
    folder = Path(folder)
    _check_card(bundle.card)
    if bundle.crop not in CROPS:
        raise BundleError(f"unknown crop kind {bundle.crop!r}; known: {', '.join(CROPS)}")
    if folder.exists() and not (folder / HEADER).is_file() and any(folder.iterdir()):
        raise OutputError(f"{folder}: this folder holds something that is not a bundle")
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        partial.mkdir(parents=True)
        _write(bundle, partial)
        if folder.exists():
            retired = partial.with_suffix(".old")
            folder.rename(retired)
            partial.rename(folder)
            shutil.rmtree(retired)
        else:
            partial.rename(folder)
    except OSError as error:
        raise OutputError(f"{folder}: the bundle cannot be written there ({error.strerror})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _write(bundle: Bundle, folder: Path) -> None:
    states = {name: form.to_state(getattr(bundle, name)) for name, form in NETWORKS.items()}
    if bundle.tracker is not None:
        trackers = bundle.tracker._asdict()
        states |= {name: form.to_state(trackers[name]) for name, form in TRACKER_NETWORKS.items()}
    motion = bundle.motion
    states["motion"] = {}, {"encoding": motion.encoding, "decoding": motion.decoding, "ranges": motion.ranges}
    parts = {}
    for name, (config, tensors) in states.items():
        path = folder / f"{name}.safetensors"
        save_file(to_disk(tensors, half=name != "motion"), path)
        path.chmod(0o644)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        parts[name] = {"file": path.name, "sha256": digest, "config": config}
    header = {
        "kind": KIND,
        "version": VERSION,
        "name": bundle.name,
        "crop": bundle.crop,
        "truncation": bundle.truncation,
        "coordinates": list(motion.names),
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
        states = {name: _read_part(folder, name, part) for name, part in header["parts"].items()}
        networks = {name: form.from_state(*states[name]) for name, form in NETWORKS.items()}
        tracker = _tracker(states)
        motion = _motion(header["coordinates"], states["motion"][1])
        bundle = Bundle(
            name=header["name"],
            motion=motion,
            truncation=float(header["truncation"]),
            crop=header["crop"],
            tracker=tracker,
            card=header["card"],
            **networks,
        )
        _check_agreement(bundle)
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
    except ValueError as error:
        raise BundleError(f"{HEADER} is not JSON ({error})") from error
    if not isinstance(header, dict) or header.get("kind") != KIND:
        raise BundleError(f"{HEADER} is not the header of a bundle")
    if header.get("version") != VERSION:
        raise BundleError(f"bundle version {header.get('version')} is not supported; this program reads {VERSION}")
    check_keys(HEADER, set(header), HEADER_KEYS)
    check_keys("parts", set(header["parts"]) - set(TRACKER_NETWORKS), {*NETWORKS, "motion"})
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


def _read_part(folder: Path, name: str, part: Mapping[str, Any]) -> tuple[dict[str, Any], Tensors]:
    check_keys(f"parts.{name}", set(part), {"file", "sha256", "config"})
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


def _motion(names: list[str], tensors: Tensors) -> MotionSpace:
    check_keys("motion", set(tensors), {"encoding", "decoding", "ranges"})
    count, width = tensors["encoding"].shape
    shapes = {"encoding": (len(names), width), "decoding": (width, count), "ranges": (len(names), 2)}
    for name, shape in shapes.items():
        if tuple(tensors[name].shape) != shape:
            raise BundleError(f"motion: {name} has shape {tuple(tensors[name].shape)}, expected {shape}")
    return MotionSpace(tuple(names), tensors["encoding"], tensors["decoding"], tensors["ranges"])


def _tracker(states: Mapping[str, tuple[dict[str, Any], Tensors]]) -> TrackerNetworks | None:
    if not set(TRACKER_NETWORKS) & set(states):
        return None
    check_keys("tracker", set(TRACKER_NETWORKS) & set(states), set(TRACKER_NETWORKS))
    return TrackerNetworks(**{name: form.from_state(*states[name]) for name, form in TRACKER_NETWORKS.items()})


def _check_agreement(bundle: Bundle) -> None:
    """Parts that are each sound must also fit each other."""
    generator, encoder, directions = bundle.generator.config, bundle.encoder.config, bundle.directions.config
    facts = {
        "rows of encoder and generator": (encoder.num_rows, generator.num_rows),
        "code width of encoder and generator": (encoder.style_dim, generator.style_dim),
        "code width of directions and generator": (directions.dim, generator.style_dim),
        "coordinates of directions and motion space": (directions.coordinates, len(bundle.motion)),
        "rows moved and rows present": (min(directions.rows, generator.num_rows), directions.rows),
    }
    for what, (one, other) in facts.items():
        if one != other:
            raise BundleError(f"{what} differ: {one} and {other}")
