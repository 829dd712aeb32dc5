"""The head and hair meshes that rendered people are made of, loaded from the data pack.

Head: ICT-FaceKit (MIT). Hair: MakeHuman (CC0 1.0). Head axes, centimetres.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mien.errors import MissingDataError
from mien.face3d.morphable import data_folder

FACE, NECK, SOCKET, EYE_SOCKET, GUMS, TEETH, EYE_LEFT, EYE_RIGHT, LASHES = range(9)
"""Kinds of drawn surface."""

_PART_KIND = {
    "Face": FACE, "Head and Neck": NECK, "Mouth socket": SOCKET, "Gums and tongue": GUMS, "Teeth": TEETH,
    "Eye socket left": EYE_SOCKET, "Eye socket right": EYE_SOCKET,
    "Eyelashes left": LASHES, "Eyelashes right": LASHES,
}  # fmt: skip
_HIDDEN_TEETH = ("2nd Molar", "3rd Molar", "3rd molar")


@dataclass(frozen=True)
class HeadMesh:
    """The drawn surfaces of the morphable head, one vertex per (position, texture coordinate) pair.

    Attributes:
        rest: (V, 3) neutral mean positions in cm.
        uv: (V, 2) texture coordinates of the face tile in 0..1; other kinds carry their own tiles.
        kind: (V,) surface kind of each vertex.
        triangles: kind -> (T, 3) vertex indices.
        welded: (V,) index of the position each vertex is a copy of, for shared normals.
        identity: (100, V * 3) displacement per unit of each identity mode.
        expression: (57, V * 3) displacement per unit of each expression.
        landmarks: (68,) vertex indices, Multi-PIE order.
        arkit_to_expression: (51, 57) 0/1 matrix.
        arkit_names: the 51 coefficient names in order.
    """

    rest: np.ndarray
    uv: np.ndarray
    kind: np.ndarray
    triangles: dict[int, np.ndarray]
    welded: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    landmarks: np.ndarray
    arkit_to_expression: np.ndarray
    arkit_names: tuple[str, ...]


@dataclass(frozen=True)
class HairMesh:
    """One hair style, fitted to the neutral mean head.

    Attributes:
        vertices: (H, 3) cm.
        triangles: (T, 3).
        uv: (H, 2) texture coordinates; v runs along the strands.
        bind: (H,) nearest vertex of the morphable head (indices of `HeadMesh.welded`).
    """

    vertices: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    bind: np.ndarray


def _load(name: str) -> dict[str, np.ndarray]:
    path = data_folder() / "head" / name
    if not path.is_file():
        raise MissingDataError(f"{path} is not there; it is part of the data pack.")
    with np.load(path) as archive:
        return {key: archive[key] for key in archive.files}


def _drawn_polygons(data: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Kind of each polygon, -1 where it is not drawn."""
    kind = np.full(len(data["polygons"]), -1)
    for name, (start, end) in zip(data["part_names"], data["part_polygon_range"], strict=True):
        kind[start:end] = _PART_KIND.get(str(name), -1)
    for name, (start, end) in zip(data["subpart_names"], data["subpart_polygon_range"], strict=True):
        if str(name).startswith(_HIDDEN_TEETH):
            kind[start:end] = -1
        if str(name).startswith("Sclera"):
            kind[start:end] = EYE_LEFT if str(name).endswith("left") else EYE_RIGHT
    return kind, kind[data["triangle_polygon"]]


@lru_cache(maxsize=1)
def load_head() -> HeadMesh:
    """Load the morphable head.

    Raises:
        MissingDataError: the data pack is not there.
    """
    data = _load("ict_facekit.npz")
    _, triangle_kind = _drawn_polygons(data)
    drawn = triangle_kind >= 0
    corners = np.stack([data["triangles"][drawn], data["triangles_uv"][drawn]], -1).reshape(-1, 2)
    kinds = np.repeat(triangle_kind[drawn], 3)
    # A vertex shared by two kinds is drawn once per kind, so that each kind can be shaded by its own program.
    rows = np.column_stack([kinds, corners])
    unique, inverse = np.unique(rows, axis=0, return_inverse=True)
    triangles = inverse.reshape(-1, 3).astype(np.int32)
    kept = triangle_kind[drawn]
    source = unique[:, 1]

    def deltas(key: str) -> np.ndarray:
        scale = data[f"{key}_scale"].astype(np.float32)
        moved = data[f"{key}_q"][:, source].astype(np.float32) * scale[:, None, None]
        return moved.reshape(len(scale), -1)

    first = {int(v): i for i, v in reversed(list(enumerate(source)))}
    names = tuple(str(n) for n in data["mediapipe_blendshape_names"])
    return HeadMesh(
        rest=data["neutral"][source].astype(np.float32),
        uv=(data["uv"][unique[:, 2]] % 1.0).astype(np.float32),
        kind=unique[:, 0].astype(np.int32),
        triangles={k: triangles[kept == k] for k in range(9)},
        welded=source.astype(np.int64),
        identity=deltas("identity"),
        expression=deltas("expression"),
        landmarks=np.array([first[int(v)] for v in data["landmarks68"]]),
        arkit_to_expression=data["mediapipe_to_expression"][1:].astype(np.float32),
        arkit_names=names[1:],
    )


@lru_cache(maxsize=16)
def load_hair(name: str) -> HairMesh:
    """Load one hair style by name, for example `bob01`.

    Raises:
        MissingDataError: the data pack is not there.
    """
    data = _load("makehuman_hair.npz")
    # Texture seams split vertices as they do on the head.
    corners = np.stack([data[f"{name}_triangles"], data[f"{name}_triangles_uv"]], -1).reshape(-1, 2)
    unique, inverse = np.unique(corners, axis=0, return_inverse=True)
    return HairMesh(
        vertices=data[f"{name}_vertices_ict"][unique[:, 0]].astype(np.float32),
        triangles=inverse.reshape(-1, 3).astype(np.int32),
        uv=data[f"{name}_uv"][unique[:, 1]].astype(np.float32),
        bind=data[f"{name}_bind_ict"][unique[:, 0]].astype(np.int64),
    )
