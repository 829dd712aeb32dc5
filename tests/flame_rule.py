"""The synthetic FLAME model of the golden numbers (deca_flame.npz), as published files would hold it."""

from __future__ import annotations

from typing import Any

import golden_rule
import numpy as np

NUM_VERTICES = 128
TABLES = {"static": (51,), "dynamic": (79, 17), "full": (1, 68)}


def _shares(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """|normal| with rows that sum to 1."""
    draws = np.abs(golden_rule.normal(name, shape, seed).astype(np.float64))
    return (draws / draws.sum(-1, keepdims=True)).astype(np.float32)


def model_tree(seed: int) -> dict[str, Any]:
    """What `generic_model.pkl` would hold, by the recipe of the README."""

    def drawn(scale: float, name: str, *shape: int) -> np.ndarray:
        return np.float32(scale) * golden_rule.normal(f"flame.{name}", (NUM_VERTICES, *shape), seed)

    logits = np.exp(2 * golden_rule.normal("flame.weights", (NUM_VERTICES, 5), seed).astype(np.float64))
    return {
        "f": golden_rule.integers("flame.f", 0, NUM_VERTICES, (200, 3), seed),
        "v_template": drawn(0.1, "v_template", 3),
        "shapedirs": drawn(0.005, "shapedirs", 3, 400),
        "posedirs": drawn(0.005, "posedirs", 3, 36),
        "J_regressor": _shares("flame.J_regressor", (5, NUM_VERTICES), seed),
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.uint32),
        "weights": (logits / logits.sum(1, keepdims=True)).astype(np.float32),
        "bs_style": "lbs",
    }


def landmark_tree(seed: int) -> dict[str, np.ndarray]:
    """What `landmark_embedding.npy` would hold."""
    tree = {}
    for kind, shape in TABLES.items():
        faces, weights = f"{kind}_lmk_faces_idx", f"{kind}_lmk_bary_coords"
        tree[faces] = golden_rule.integers(f"flame.{faces}", 0, 200, shape, seed)
        tree[weights] = _shares(f"flame.{weights}", (*shape, 3), seed)
    return tree
