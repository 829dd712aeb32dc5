"""Which published layout a foreign file has, and which part of a bundle it becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import nn

from mien.checkpoints import arcface, deca, directions, e4e, flame, nvidia, rosinality, stylemask
from mien.checkpoints.claims import shown
from mien.errors import CheckpointError


class Layout(NamedTuple):
    """One layout.

    Attributes:
        what: it is, in words.
        part: of a bundle that it becomes; "" where no bundle holds it.
        recognise: cheap look at a tree.
        convert: tree → our network; None where no bundle holds it.
    """

    what: str
    part: str
    recognise: Callable[[Any], bool]
    convert: Callable[[Any], nn.Module] | None


LAYOUTS: tuple[Layout, ...] = (
    Layout("a direction matrix (A_matrix)", "directions", directions.recognise, directions.convert),
    Layout("mask networks of StyleMask", "masks", stylemask.recognise, stylemask.convert),
    Layout("DECA's networks", "deca", deca.recognise, deca.convert),
    Layout("an e4e inversion encoder", "encoder", e4e.recognise, e4e.convert),
    Layout("a StyleGAN2 generator in rosinality's layout", "generator", rosinality.recognise, rosinality.convert),
    Layout("a StyleGAN2 generator of NVIDIA's", "generator", nvidia.recognise, nvidia.convert),
    Layout("an IR-SE50 identity network", "", arcface.recognise, None),
    Layout("a FLAME head model", "", flame.recognise, None),
    Layout("FLAME's landmark tables", "", flame.recognise_landmarks, None),
)


def convert_part(part: str, tree: Any) -> nn.Module:
    """The network that a foreign tree holds, if it is the wanted part.

    Raises:
        CheckpointError: it is something else, and what; or it is damaged.
    """
    for layout in LAYOUTS:
        if not layout.recognise(tree):
            continue
        if layout.part != part or layout.convert is None:
            place = f"it belongs to --{layout.part}" if layout.part else "no bundle holds one"
            raise CheckpointError(f"this is {layout.what}, given as --{part}; {place}")
        return layout.convert(tree)
    known = "; ".join(layout.what for layout in LAYOUTS if layout.part == part)
    raise CheckpointError(f"given as --{part}, but it holds {_contents(tree)}; known: {known}")


def _contents(tree: Any) -> str:
    if not isinstance(tree, Mapping):
        return shown(tree)
    names = sorted(map(str, tree))
    listed = ", ".join(shown(name) for name in names[:4]) + (", …" if len(names) > 4 else "")
    return f"entries of no published layout ({listed or 'none'})"
