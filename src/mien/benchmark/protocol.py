"""What can be measured: anything that turns a source picture and driver pictures into result pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch

from mien.alignment.crop import CROPS
from mien.errors import InputError
from mien.face3d.params import FaceParams
from mien.images import resize, to_tensor, to_uint8

Framing = Literal["source", "head", "voxceleb", "ffhq"]
"""How results are framed: as the source picture is, or by the crop of that name around the head in its new pose."""


@runtime_checkable
class Driver(Protocol):
    """A reenactment program as the benchmark sees it.

    Attributes:
        name: as it stands in reports.
        framing: how its results are framed; the truth is cut out in the same way before it is compared.
    """

    name: str
    framing: Framing

    def reenact(self, source: np.ndarray, drivers: Sequence[np.ndarray]) -> Sequence[np.ndarray | None]:
        """The person of `source` in the pose, expression and gaze of each of `drivers`.

        Args:
            source: uint8 (H, W, 3) RGB.
            drivers: uint8 (H, W, 3) RGB pictures of one person, in the order of the video.

        Returns:
            One square uint8 RGB picture of any side for each driver, or None where the program has no result.
        """
        ...


@runtime_checkable
class Editor(Protocol):
    """A program that can put single coordinates of a source at absolute values (protocol `linearity`)."""

    name: str
    framing: Framing

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Coordinate → working range, in degrees for yaw, pitch and roll, else in unit weights."""
        ...

    def edit(self, source: np.ndarray, coordinate: str, values: Sequence[float]) -> Sequence[np.ndarray] | None:
        """The source with one coordinate at each of the values; None where no face is found in it."""
        ...


class CopySource:
    """Does nothing: what a result must be better than in pose and expression."""

    name = "copy source"
    framing: Framing = "source"

    def reenact(self, source: np.ndarray, drivers: Sequence[np.ndarray]) -> list[np.ndarray | None]:
        """The source, once for each driver."""
        return [source for _ in drivers]


class CopyDriver:
    """Shows the driver: perfect pose and expression, and what identity means when it is missed."""

    name = "copy driver"
    framing: Framing = "source"

    def reenact(self, source: np.ndarray, drivers: Sequence[np.ndarray]) -> list[np.ndarray | None]:
        """The drivers themselves."""
        del source
        return list(drivers)


def run_driver(driver: Driver, source: np.ndarray, drivers: Sequence[np.ndarray], size: int) -> list[np.ndarray | None]:
    """Calls a driver, holds it to the protocol and brings its results to one size.

    Args:
        size: side of the pictures that are measured; results of other sides are resampled.

    Returns:
        uint8 (size, size, 3) for each driver picture, or None.

    Raises:
        InputError: the driver returned something that the protocol does not allow; names it.
    """
    results = list(driver.reenact(source, drivers))
    if len(results) != len(drivers):
        raise InputError(f"the driver {driver.name!r} returned {len(results)} pictures for {len(drivers)}")
    return [None if result is None else _sized(driver.name, result, size) for result in results]


def _sized(name: str, picture: np.ndarray, size: int) -> np.ndarray:
    shape = getattr(picture, "shape", ())
    if len(shape) != 3 or shape[2] != 3 or picture.dtype != np.uint8:
        raise InputError(f"the driver {name!r} returned something else than uint8 (H, W, 3) pictures")
    if shape[0] != shape[1]:
        raise InputError(f"the driver {name!r} returned a picture of {shape[1]} x {shape[0]} pixels; it must be square")
    return picture if shape[0] == size else resized(picture, size)


def resized(picture: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """A uint8 (H, W, 3) picture at another side, or (height, width), antialiased."""
    return to_uint8(resize(to_tensor(picture), size))[0]


def framed(picture: np.ndarray, face: FaceParams, framing: Framing, size: int) -> np.ndarray | None:
    """A picture cut out as a driver frames its results, uint8 (size, size, 3).

    Args:
        picture: uint8 (H, W, 3).
        face: (1) the face in it, landmarks in its pixels; not used for the framing "source".
        framing: "source" takes the whole picture, which must be square.

    Returns:
        None where a crop is asked for and the face is not valid.
    """
    if framing == "source":
        return picture if picture.shape[:2] == (size, size) else resized(picture, size)
    if not bool(face.valid[0]):
        return None
    points, angles = face.landmarks[0].double().cpu().numpy(), face.angles[0].double().cpu().numpy()
    return CROPS[framing](points, angles, size).apply(picture)


def moved_landmarks(face: FaceParams, framing: Framing, size: int, side: int) -> torch.Tensor:
    """Landmarks (1, 68, 2) of a face where `framed` puts them.

    Args:
        side: of the (square) picture that the landmarks belong to.
    """
    points = face.landmarks[0].double().cpu()
    if framing == "source":
        return ((points + 0.5) * (size / side) - 0.5)[None]
    crop = CROPS[framing](points.numpy(), face.angles[0].double().cpu().numpy(), size)
    return torch.from_numpy(crop.points(points.numpy()))[None]
