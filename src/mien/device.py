"""Where the arithmetic runs: an explicit choice that fails rather than falling back silently."""

from __future__ import annotations

import torch

from mien.errors import DeviceError


def choose_device(name: str | None = None) -> torch.device:
    """The device named, or the best one present.

    Args:
        name: "cpu", "cuda", "cuda:1", "mps" or None for the best available.

    Raises:
        DeviceError: the name is malformed or that device is not present.
    """
    if name is None or name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"unknown device {name!r}; use cpu, cuda, cuda:N or mps") from error
    present = {
        "cpu": lambda: True,
        "cuda": lambda: torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available,
    }
    if device.type not in present or not present[device.type]():
        raise DeviceError(f"device {name!r} was asked for but is not available here")
    return device


def describe_device(device: torch.device) -> str:
    """One line for the user: what the arithmetic runs on."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device.type} ({torch.get_num_threads()} threads)"
