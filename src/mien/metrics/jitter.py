"""How much a track trembles: its second differences, which a steady movement does not have."""

from __future__ import annotations

import torch

from mien.errors import InputError
from mien.metrics.running import RunningMean, Summary


class Jitter:
    """Mean |x[t+1] − 2·x[t] + x[t−1]| of a stream of coordinates, over all runs of three valid frames.

    Two streams of the same frames compare by their ratio, such as a result's jitter over its driver's.
    """

    def __init__(self) -> None:
        self._trembles = RunningMean()
        self._last = torch.zeros(0, 0)
        self._last_valid = torch.zeros(0, dtype=torch.bool)

    def update(self, values: torch.Tensor, valid: torch.Tensor | None = None) -> None:
        """Adds the next frames of the stream, in order; a frame with `valid` (B,) False interrupts it.

        Args:
            values: (B, k) coordinates, such as angles in degrees, of B consecutive frames.

        Raises:
            InputError: the shape is not (B, k), k changed, or there is not one flag per frame.
        """
        good = torch.ones(len(values), dtype=torch.bool) if valid is None else valid.detach().cpu().bool()
        width = self._last.shape[1] if len(self._last) else values.shape[-1]
        if values.ndim != 2 or values.shape[1] != width or good.shape != values.shape[:1]:
            raise InputError(f"expected ({len(good)}, {width}) coordinates of frames, not {tuple(values.shape)}")
        track = values.detach().to("cpu", torch.float64)
        track = torch.cat([self._last, track]) if len(self._last) else track
        good = torch.cat([self._last_valid, good])
        if len(track) > 2:
            whole = good[2:] & good[1:-1] & good[:-2]
            self._trembles.update((track[2:] - 2 * track[1:-1] + track[:-2]).abs(), whole)
        self._last, self._last_valid = track[-2:], good[-2:]

    def result(self) -> Summary:
        """Summary with values (k,), in the units of the coordinates per squared frame.

        Raises:
            InputError: three valid frames in a row have not been seen.
        """
        return self._trembles.result()
