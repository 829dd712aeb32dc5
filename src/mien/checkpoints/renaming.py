"""Foreign weights to ours and back: the same numbers under other names, with or without axes of length one.

Every key of a foreign state dict is either a slot (a tensor that we keep) or a filter (a constant both sides know);
anything else, and anything that is missing, is an error that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn

from mien.checkpoints.parts import Tensors, check_keys
from mien.errors import CheckpointError

FILTER_TAPS = (1.0, 3.0, 3.0, 1.0)
MAX_RESOLUTION = 4096
Shape = tuple[int, ...]
Rename = Callable[[str, Shape], tuple[str, Shape]]


class Slot(NamedTuple):
    """One tensor on both sides; the two shapes differ by axes of length one at most."""

    ours: str
    our_shape: Shape
    theirs: str
    their_shape: Shape


@dataclass(frozen=True)
class Layout:
    """All that a foreign state dict holds.

    Attributes:
        owner: what error messages call it.
        slots: the tensors that become ours.
        filters: name of a stored [1, 3, 3, 1] filter → sum of its elements.
    """

    owner: str
    slots: tuple[Slot, ...]
    filters: Mapping[str, float] = field(default_factory=dict)

    def read(self, tensors: Mapping[str, Any]) -> Tensors:
        """Foreign tensors → fresh float32 tensors under our names; filters are checked and left behind.

        Raises:
            CheckpointError: naming what is missing, unknown, misshapen, or no floating point tensor.
        """
        check_keys(self.owner, set(tensors), {slot.theirs for slot in self.slots} | set(self.filters))
        for name, total in self.filters.items():
            expected = filter_kernel(total)
            check_tensor(self.owner, name, tensors[name], tuple(expected.shape))
            if not torch.allclose(tensors[name].float(), expected, rtol=1e-4, atol=0):
                raise CheckpointError(f"{self.owner}: {name} is not the [1, 3, 3, 1] filter with sum {total:g}")
        for slot in self.slots:
            check_tensor(self.owner, slot.theirs, tensors[slot.theirs], slot.their_shape)
        return {s.ours: single_precision(tensors[s.theirs]).reshape(s.our_shape) for s in self.slots}

    def write(self, tensors: Mapping[str, torch.Tensor]) -> Tensors:
        """The way back: fresh foreign tensors, filters included."""
        kept = {s.theirs: single_precision(tensors[s.ours]).reshape(s.their_shape) for s in self.slots}
        return kept | {name: filter_kernel(total) for name, total in self.filters.items()}


def slots_of(network_class: Callable[[Any], nn.Module], config: Any, rename: Rename) -> tuple[Slot, ...]:
    """A slot for each tensor of our network; `rename` gives name and shape on the other side.

    Raises:
        CheckpointError: a network of these sizes cannot be built.
    """
    try:
        with torch.device("meta"):
            network = network_class(config)
    except (RuntimeError, ValueError, TypeError, ZeroDivisionError) as error:
        raise CheckpointError(f"a network of this configuration cannot be built: {error}") from error
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    return tuple(Slot(name, shape, *rename(name, shape)) for name, shape in shapes.items())


def filter_kernel(total: float) -> torch.Tensor:
    """(4, 4) outer product of [1, 3, 3, 1] with itself, scaled to a given sum."""
    taps = torch.tensor(FILTER_TAPS)
    return torch.outer(taps, taps) / 64 * total


def single_precision(value: torch.Tensor) -> torch.Tensor:
    """A fresh float32 copy in main memory."""
    return value.detach().to("cpu", torch.float32, copy=True).contiguous()


def check_tensor(owner: str, name: str, value: Any, shape: Shape) -> None:
    """A floating point tensor of a shape.

    Raises:
        CheckpointError: it is something else.
    """
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        found = str(value.dtype) if isinstance(value, torch.Tensor) else type(value).__name__
        raise CheckpointError(f"{owner}: {name} must be a floating point tensor, not {found}")
    if tuple(value.shape) != shape:
        raise CheckpointError(f"{owner}: {name} has shape {tuple(value.shape)}, expected {shape}")


def shape_of(owner: str, tensors: Mapping[str, Any], name: str, num_axes: int) -> Shape:
    """The shape of a tensor from which sizes are read.

    Raises:
        CheckpointError: there is none, or it has another number of axes.
    """
    value = tensors.get(name)
    if not isinstance(value, torch.Tensor) or value.ndim != num_axes or 0 in value.shape:
        raise CheckpointError(f"{owner}: {name} is missing, or is no tensor with {num_axes} axes")
    return tuple(value.shape)


def channel_rule(owner: str, widths: Mapping[int, int]) -> tuple[int, int]:
    """(channel_base, channel_max) such that every width is min(base / resolution, max), from resolution → width.

    Raises:
        CheckpointError: the widths follow no such rule.
    """
    finest = max(widths)
    base, most = widths[finest] * finest, max(widths.values())
    if finest > MAX_RESOLUTION or any(width != min(base // r, most) for r, width in widths.items()):
        listed = ", ".join(f"{width} at {r}" for r, width in sorted(widths.items()))
        raise CheckpointError(f"{owner}: channel widths that no published network has ({listed})")
    return base, most
