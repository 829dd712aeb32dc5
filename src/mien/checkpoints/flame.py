"""FLAME 2020: `generic_model.pkl` and DECA's `landmark_embedding.npy`.

The model: `f`, `v_template`, `shapedirs` (V, 3, 400: 300 of identity, 100 of expression), `posedirs`, `J_regressor`,
`kintree_table`, `weights`. The landmarks: face indices and barycentric weights of 51 inner points (`static_lmk_*`), of
17 contour points for 79 yaws (`dynamic_lmk_*`) and of 68 fixed points (`full_lmk_*`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from mien.checkpoints.parts import check_keys
from mien.errors import CheckpointError
from mien.face3d.flame import Flame, SurfacePoints

OWNER, LANDMARK_OWNER = "FLAME model", "FLAME landmarks"
NEEDED = {"f", "v_template", "shapedirs", "posedirs", "J_regressor", "kintree_table", "weights"}
IGNORED = {
    "J",
    "J_regressor_prior",
    "bs_style",
    "bs_type",
    "pose_training_info",
    "vert_sym_idxs",
    "weights_prior",
}
TABLES = {"static": (51,), "dynamic": (79, 17), "full": (1, 68)}
NUM_IDENTITY, NUM_STORED_IDENTITY, NUM_EXPRESSION = 100, 300, 50
NUM_JOINTS = 5
NO_PARENT = 2**32 - 1


def recognise(tree: Any) -> bool:
    """Whether a pickle holds a FLAME model."""
    return isinstance(tree, Mapping) and set(tree) >= NEEDED


def recognise_landmarks(tree: Any) -> bool:
    """Whether a file holds landmark tables for FLAME."""
    return isinstance(tree, Mapping) and set(tree) >= _landmark_keys()


def convert(tree: Mapping[str, Any], landmarks: Mapping[str, Any]) -> Flame:
    """The head model that DECA uses: 100 modes of identity and 50 of expression, with its landmarks.

    Args:
        tree: what `generic_model.pkl` holds; arrays may be NumPy arrays or tensors, sparse ones made dense.
        landmarks: what `landmark_embedding.npy` holds.

    Raises:
        CheckpointError: naming the entry that is missing, unknown or does not fit.
    """
    check_keys(OWNER, set(map(str, tree)) - IGNORED, NEEDED)
    template = _floats(OWNER, tree, "v_template", (None, 3))
    num_vertices = len(template)
    modes = _floats(OWNER, tree, "shapedirs", (num_vertices, 3, None))
    if modes.shape[2] < NUM_STORED_IDENTITY + NUM_EXPRESSION:
        raise CheckpointError(f"{OWNER}: shapedirs has {modes.shape[2]} modes, expected 400")
    triangles = _indices(OWNER, tree, "f", (None, 3), num_vertices)
    inner, contour, full = (_points(landmarks, kind, len(triangles)) for kind in TABLES)
    return Flame(
        template=template,
        identity=modes[..., :NUM_IDENTITY].contiguous(),
        expression=modes[..., NUM_STORED_IDENTITY : NUM_STORED_IDENTITY + NUM_EXPRESSION].contiguous(),
        correction=_floats(OWNER, tree, "posedirs", (num_vertices, 3, 9 * (NUM_JOINTS - 1))),
        regressor=_floats(OWNER, tree, "J_regressor", (NUM_JOINTS, num_vertices)),
        weights=_floats(OWNER, tree, "weights", (num_vertices, NUM_JOINTS)),
        triangles=triangles,
        inner=inner,
        contour=contour,
        full=SurfacePoints(full.faces[0], full.weights[0]),
        parents=_parents(tree),
    )


def _points(tree: Mapping[str, Any], kind: str, num_faces: int) -> SurfacePoints:
    check_keys(LANDMARK_OWNER, set(map(str, tree)), _landmark_keys())
    faces = _indices(LANDMARK_OWNER, tree, f"{kind}_lmk_faces_idx", TABLES[kind], num_faces)
    return SurfacePoints(faces, _floats(LANDMARK_OWNER, tree, f"{kind}_lmk_bary_coords", (*TABLES[kind], 3)))


def _landmark_keys() -> set[str]:
    return {f"{kind}_lmk_{what}" for kind in TABLES for what in ("faces_idx", "bary_coords")}


def _parents(tree: Mapping[str, Any]) -> tuple[int, ...]:
    table = _array(OWNER, tree, "kintree_table", (2, NUM_JOINTS)).astype(np.int64)
    parents = [-1 if parent in (-1, NO_PARENT) else int(parent) for parent in table[0]]
    if parents[0] != -1 or not all(0 <= parent < joint for joint, parent in enumerate(parents) if joint):
        raise CheckpointError(f"{OWNER}: kintree_table is no tree whose parents come first: {parents}")
    return tuple(parents)


def _floats(owner: str, tree: Mapping[str, Any], name: str, shape: tuple[int | None, ...]) -> torch.Tensor:
    values = _array(owner, tree, name, shape).astype(np.float32)
    if not np.isfinite(values).all():
        raise CheckpointError(f"{owner}: {name} has values that are not finite")
    return torch.from_numpy(np.ascontiguousarray(values))


def _indices(owner: str, tree: Mapping[str, Any], name: str, shape: tuple[int | None, ...], count: int) -> torch.Tensor:
    values = _array(owner, tree, name, shape)
    if values.dtype.kind not in "iu" or (values.size and not 0 <= values.min() <= values.max() < count):
        raise CheckpointError(f"{owner}: {name} must be whole numbers from 0 to {count - 1}")
    return torch.from_numpy(np.ascontiguousarray(values.astype(np.int64)))


def _array(owner: str, tree: Mapping[str, Any], name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    value = tree[name]
    value = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf":
        raise CheckpointError(f"{owner}: {name} is no array of numbers")
    if value.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, value.shape, strict=True)):
        expected = ", ".join("any" if n is None else str(n) for n in shape)
        raise CheckpointError(f"{owner}: {name} has shape {value.shape}, expected ({expected})")
    return value
