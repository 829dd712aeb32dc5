"""A bundle as the benchmark sees it: a driver of pictures and an editor of coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch

from mien.benchmark.protocol import Framing
from mien.errors import InputError, NoFaceError
from mien.face3d.params import FaceParams
from mien.inversion import TuningConfig
from mien.pipelines.moving import MIXING, Method, choose_method
from mien.pipelines.reenactor import Identity, Reenactor


class BundleDriver:
    """Reenacts and edits with a loaded bundle: absolute driving, the largest face of source and driver.

    Args:
        model: the bundle.
        name: as it stands in reports; None takes the bundle's.
        method: as in `Reenactor.drive`.
        batch: pictures that are synthesised together.
        identifier: what identifies sources; None is the model itself. Baselines share the codes of another model.
        tuning: tune the generator to each source first, as said here; None leaves it alone.
    """

    def __init__(
        self,
        model: Reenactor,
        name: str | None = None,
        method: Method | None = None,
        batch: int = 8,
        identifier: Reenactor | None = None,
        tuning: TuningConfig | None = None,
    ) -> None:
        self.model, self._identifier = model, model if identifier is None else identifier
        self.name = model.bundle.name if name is None else name
        self.framing: Framing = cast(Framing, model.bundle.crop)
        self._method: Method = choose_method(model.bundle, method)
        self._batch, self._tuning = batch, tuning

    def reenact(self, source: np.ndarray, drivers: Sequence[np.ndarray]) -> list[np.ndarray | None]:
        """See `mien.benchmark.protocol.Driver.reenact`; None where source or driver shows no face."""
        try:
            identity = self._identifier.identify(source, face="largest")
        except NoFaceError:
            return [None for _ in drivers]
        model = self._for_source(identity)
        results: list[np.ndarray | None] = [None] * len(drivers)
        faces = [self._measured(picture) for picture in drivers]
        found = [i for i, face in enumerate(faces) if face is not None]
        for start in range(0, len(found), self._batch):
            part = found[start : start + self._batch]
            params = FaceParams.cat([face for i in part if (face := faces[i]) is not None])
            if self._method in MIXING:
                pictures = model.swap(identity, [drivers[i] for i in part], params, method=self._method)
            else:
                pictures = model.render(identity, model.change(identity, params), self._method)
            for i, picture in zip(part, pictures, strict=True):
                results[i] = picture
        return results

    def _for_source(self, identity: Identity) -> Reenactor:
        return self.model if self._tuning is None else self.model.tune(identity, self._tuning)

    def _measured(self, picture: np.ndarray) -> FaceParams | None:
        try:
            return self.model.measure(picture)
        except NoFaceError:
            return None

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Coordinates of the bundle with their working ranges (`mien.benchmark.protocol.Editor`).

        Raises:
            InputError: the bundle's coordinates are not those that the benchmark's trackers read.
        """
        space = self.model.bundle.motion
        if space.model != "arkit":
            raise InputError(f"{self.name}: linearity is measured on ARKit coordinates, not on {space.model} ones")
        ends = space.ranges if space.trained is None else space.trained
        return {name: (min(pair), max(pair)) for name, pair in zip(space.names, ends.tolist(), strict=True)}

    def edit(self, source: np.ndarray, coordinate: str, values: Sequence[float]) -> list[np.ndarray] | None:
        """See `mien.benchmark.protocol.Editor.edit`."""
        try:
            identity = self._identifier.identify(source, face="largest")
        except NoFaceError:
            return None
        model = self._for_source(identity)
        changes = torch.cat([model.edit_change(identity, {coordinate: value}) for value in values])
        return [
            picture for part in changes.split(self._batch) for picture in model.render(identity, part, self._method)
        ]
