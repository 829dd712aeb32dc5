"""One converted part by itself, for weights that no bundle holds: `part.json` and `part.safetensors` in a folder.

The header says what the part is and where it came from. Like a bundle, it is written whole or not at all, and read
strictly.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save_file

from mien.checkpoints.claims import shown
from mien.checkpoints.contents import Source
from mien.checkpoints.folders import whole_folder
from mien.checkpoints.parts import Tensors, check_keys, to_disk
from mien.checkpoints.reader import Foreign
from mien.errors import CheckpointError

KIND, VERSION = "mien-part", 1
HEADER, WEIGHTS = "part.json", "part.safetensors"
MAX_HEADER_BYTES = 2**20
MAX_WEIGHT_BYTES = 2**33
HEADER_KEYS = {"kind", "version", "part", "config", "source", "sha256"}
SOURCE_KEYS = {field.name for field in dataclasses.fields(Source)}


@dataclass(frozen=True)
class ConvertedPart:
    """Weights under our names, and where they came from.

    Attributes:
        kind: what they are, such as "flame" or "arcface".
        config: what the object is built from; anything that JSON can say.
        tensors: by name, of the type and precision that they were written with.
        source: the file they were converted from, and its terms.
    """

    kind: str
    config: Mapping[str, Any]
    tensors: Tensors
    source: Source


def write_part(
    folder: str | os.PathLike[str],
    kind: str,
    config: Mapping[str, Any],
    tensors: Tensors,
    source: Foreign | Source,
    licence: str = "",
) -> Path:
    """Write a part; the folder appears, or replaces an older part, only when everything is written.

    Args:
        folder: new, empty, or holding a part.
        kind, config, tensors: see `ConvertedPart`; tensors are stored in the precision they have.
        source: the file that was read.
        licence: the terms under which whoever imports it holds that file, in their own words; empty takes the source's.

    Raises:
        CheckpointError: kind or licence are missing, the configuration cannot be said in JSON, a value is not finite.
        OutputError: the folder holds something else, or cannot be written.
    """
    folder = Path(folder)
    origin = Source(source.name, source.sha256, licence) if isinstance(source, Foreign) else source
    if isinstance(source, Source) and licence:
        origin = dataclasses.replace(source, licence=licence)
    part = ConvertedPart(kind, config, tensors, origin)
    _check(part)
    with whole_folder(folder, HEADER, "converted part") as partial:
        _write(part, partial)
    return folder


def _write(part: ConvertedPart, folder: Path) -> None:
    path = folder / WEIGHTS
    save_file(to_disk(part.tensors, half=False), path)
    path.chmod(0o644)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    header = {
        "kind": KIND,
        "version": VERSION,
        "part": part.kind,
        "config": dict(part.config),
        "source": dataclasses.asdict(part.source),
        "sha256": digest,
    }
    try:
        text = json.dumps(header, indent=1, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"the configuration of {part.kind} cannot be said in JSON ({error})") from error
    (folder / HEADER).write_text(text + "\n", encoding="utf-8")


def read_part(folder: str | os.PathLike[str], kind: str | None = None) -> ConvertedPart:
    """Read a part strictly: every key, size and checksum must be what the header says; nothing is unpickled.

    Args:
        folder: where it was written.
        kind: what it must be; None takes any.

    Raises:
        CheckpointError: not there, damaged, of another kind, or not what it claims to be.
    """
    folder = Path(folder)
    try:
        header = _read_header(folder)
        if kind is not None and header["part"] != kind:
            raise CheckpointError(f"this is {shown(header['part'])}, not {kind!r}")
        part = ConvertedPart(
            header["part"], header["config"], _read_weights(folder, header["sha256"]), Source(**header["source"])
        )
        _check(part)
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from error
    except OSError as error:
        raise CheckpointError(f"{folder}: the part cannot be read ({error.strerror})") from error
    return part


def _read_header(folder: Path) -> dict[str, Any]:
    path = folder / HEADER
    if not path.is_file():
        raise CheckpointError(f"there is no {HEADER}, so this is no converted part")
    if path.stat().st_size > MAX_HEADER_BYTES:
        raise CheckpointError(f"{HEADER} is too large")
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{HEADER} is not JSON ({error})") from error
    if not isinstance(header, dict) or header.get("kind") != KIND:
        raise CheckpointError(f"{HEADER} is not the header of a converted part")
    if header.get("version") != VERSION:
        raise CheckpointError(f"version {shown(header.get('version'))} is not supported; this program reads {VERSION}")
    check_keys(HEADER, set(header), HEADER_KEYS)
    for name in ("config", "source"):
        if not isinstance(header[name], dict):
            raise CheckpointError(f"{name} in {HEADER} is not an object")
    check_keys(f"source in {HEADER}", set(header["source"]), SOURCE_KEYS)
    return header


def _read_weights(folder: Path, digest: Any) -> Tensors:
    path = folder / WEIGHTS
    if not path.is_file() or path.stat().st_size > MAX_WEIGHT_BYTES:
        raise CheckpointError(f"{WEIGHTS} is missing or too large")
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise CheckpointError(f"{WEIGHTS} is damaged: its sha256 is not the one in {HEADER}")
    try:
        return load_tensors(data)
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{WEIGHTS} cannot be read ({error})") from error


def _check(part: ConvertedPart) -> None:
    """What must hold of a part on both ways."""
    texts = {"kind": part.kind, **{f"{name} of the source": text for name, text in vars(part.source).items()}}
    for what, text in texts.items():
        if not isinstance(text, str) or not text.strip():
            raise CheckpointError(f"the {what} of a part must be a text, not {shown(text)}")
    for name, tensor in part.tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise CheckpointError(f"{name} has values that are not finite")
