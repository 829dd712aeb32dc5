"""How one part of a bundle (a network and its configuration) becomes a JSON object and tensors, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mien.errors import BundleError

MAX_CONFIG_NUMBER = 100_000
HALF_LIMIT = 6e4
FULL_PRECISION = ("w_mean", "running_mean", "running_var")  # last part of the names that stay float32 on disk
COUNTER = "num_batches_tracked"  # of batch normalisation, which does not need it outside training

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class PartFormat:
    """Both directions between an object and (configuration, tensors).

    Attributes:
        to_state: object → (JSON-ready configuration, tensors by name).
        from_state: the way back; raises BundleError naming what does not fit.
    """

    to_state: Callable[[Any], tuple[dict[str, Any], Tensors]]
    from_state: Callable[[dict[str, Any], Tensors], Any]


def network_format(config_class: type, network_class: Callable[[Any], nn.Module]) -> PartFormat:
    """The format of a network that is built from one frozen dataclass, which it keeps as `.config`."""

    def to_state(network: Any) -> tuple[dict[str, Any], Tensors]:
        tensors = {name: value for name, value in network.state_dict().items() if not name.endswith(COUNTER)}
        late = late_fields(config_class)
        config = dataclasses.asdict(network.config)
        return {k: v for k, v in config.items() if v is not None or k not in late}, tensors

    def from_state(config: dict[str, Any], tensors: Tensors) -> nn.Module:
        return fill_network(network_class, read_config(config_class, config), tensors)

    return PartFormat(to_state, from_state)


def read_config(config_class: type, values: Mapping[str, Any]) -> Any:
    """Rebuild a configuration; every field must be there but late ones, nothing else may be, numbers must be sane.

    Raises:
        BundleError: naming the field.
    """
    expected = {field.name for field in dataclasses.fields(config_class)}
    check_keys(f"{config_class.__name__}", set(values) | late_fields(config_class), expected)
    try:
        return config_class(**{name: _checked(name, value) for name, value in values.items()})
    except (TypeError, ValueError) as error:
        raise BundleError(f"{config_class.__name__}: {error}") from error


def late_fields(config_class: type) -> set[str]:
    """Fields whose default is None: they joined a published configuration later, and older files lack them."""
    return {field.name for field in dataclasses.fields(config_class) if field.default is None}


def _checked(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_checked(name, item) for item in value)
    if isinstance(value, (int, float)) and not abs(value) <= MAX_CONFIG_NUMBER:
        raise BundleError(f"{name} = {value} is out of bounds")
    return value


def fill_network(network_class: Callable[[Any], nn.Module], config: Any, tensors: Tensors) -> nn.Module:
    """Build a network without memory, check names and shapes, then put the tensors in place; frozen, in eval mode.

    Raises:
        BundleError: naming the tensor that is missing, unknown or of another shape.
    """
    try:
        with torch.device("meta"):
            network = network_class(config)
    except (RuntimeError, ValueError, TypeError, ZeroDivisionError, IndexError) as error:
        raise BundleError(f"a network of this configuration cannot be built: {error}") from error
    expected = {key: value for key, value in network.state_dict().items() if not key.endswith(COUNTER)}
    name = type(network).__name__
    check_keys(name, set(tensors), set(expected))
    for key, tensor in tensors.items():
        if tensor.shape != expected[key].shape:
            raise BundleError(f"{name}: {key} has shape {tuple(tensor.shape)}, expected {tuple(expected[key].shape)}")
    counters = {key: torch.zeros((), dtype=torch.long) for key in network.state_dict() if key.endswith(COUNTER)}
    network.load_state_dict({**tensors, **counters}, assign=True)
    return network.requires_grad_(False).eval()


def check_keys(owner: str, found: set[str], expected: set[str]) -> None:
    """Names must match exactly.

    Raises:
        BundleError: naming up to five that are missing or unknown.
    """
    for verb, names in (("lacks", expected - found), ("has unknown", found - expected)):
        if names:
            shown = ", ".join(sorted(map(str, names))[:5]) + (", …" if len(names) > 5 else "")
            raise BundleError(f"{owner} {verb} {shown}")


def to_disk(tensors: Tensors, half: bool = True) -> Tensors:
    """Contiguous CPU copies; float tensors in half precision where it is asked for and their values fit."""
    stored = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu()
        fits = half and not name.endswith(FULL_PRECISION) and tensor.is_floating_point()
        if fits and (tensor.numel() == 0 or tensor.abs().amax() < HALF_LIMIT):
            tensor = tensor.half()
        stored[name] = tensor.contiguous().clone()
    return stored


def from_disk(tensors: Tensors) -> Tensors:
    """Single precision in memory.

    Raises:
        BundleError: naming a tensor with values that are not finite.
    """
    loaded = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    for name, tensor in loaded.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise BundleError(f"{name} has values that are not finite")
    return loaded
