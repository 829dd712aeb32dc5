"""Poses and expressions: single frames with the breadth of real video and beyond, and smooth curves for clips."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from mien.face3d.motion import ARKIT_COORDINATES, arkit_motion_space
from mien.face3d.params import ARKIT_NAMES

_INDEX = {name: i for i, name in enumerate(ARKIT_NAMES)}
_EXPRESSION_COORDINATES = ARKIT_COORDINATES[3:]
_KINDS = ("neutral", "talk", "emotion", "single", "several")
_KIND_SHARES = (0.15, 0.22, 0.26, 0.22, 0.15)
_CLOSED_SHARE = 0.20

Weights = dict[str, float]


def _both(name: str, value: float, rng: np.random.Generator | None = None) -> Weights:
    """The same value for both sides, or nearly so when a generator is given."""
    left, right = (value, value) if rng is None else value * np.clip(1 + rng.normal(0, 0.08, 2), 0.7, 1.2)
    return {f"{name}Left": float(left), f"{name}Right": float(right)}


def _talk(rng: np.random.Generator) -> Weights:
    jaw = float(rng.beta(1.4, 3.2)) * 0.95
    weights: Weights = {"jawOpen": jaw}
    sound = rng.integers(6)
    strength = float(rng.uniform(0.2, 0.9))
    if sound == 0:
        weights |= {"mouthFunnel": strength, "mouthPucker": 0.5 * strength * rng.random()}
    elif sound == 1:
        weights |= {"mouthPucker": strength}
    elif sound == 2:
        weights |= _both("mouthStretch", 0.7 * strength) | _both("mouthLowerDown", 0.5 * strength)
    elif sound == 3:
        weights |= {"mouthRollLower": 0.7 * strength, "mouthRollUpper": 0.5 * strength, "jawOpen": 0.15 * jaw}
        weights |= _both("mouthPress", 0.4 * strength)
    elif sound == 4:
        weights |= _both("mouthUpperUp", 0.6 * strength) | _both("mouthLowerDown", 0.6 * strength)
    else:
        weights |= _both("mouthSmile", 0.5 * strength, rng)
    return weights


def _emotion(rng: np.random.Generator) -> Weights:
    strength = float(rng.beta(2.2, 1.0))
    kind = rng.choice(("smile", "laugh", "sad", "angry", "surprise", "disgust"), p=(0.36, 0.28, 0.08, 0.08, 0.13, 0.07))
    if kind == "smile":
        bared = strength * float(rng.uniform(-0.4, 1.0))
        return (
            _both("mouthSmile", strength, rng) | _both("cheekSquint", 0.6 * strength)
            | _both("eyeSquint", 0.4 * strength) | _both("mouthUpperUp", max(0.0, bared))
        )  # fmt: skip
    if kind == "laugh":
        jaw, upper, lower = rng.random(3) * strength * (0.9, 1.0, 0.6)
        return (
            _both("mouthSmile", strength, rng) | {"jawOpen": float(jaw)}
            | _both("cheekSquint", 0.7 * strength) | _both("eyeSquint", 0.5 * strength)
            | _both("mouthUpperUp", float(upper)) | _both("mouthLowerDown", float(lower))
        )  # fmt: skip
    if kind == "sad":
        return _both("mouthFrown", strength, rng) | {"browInnerUp": strength, "mouthShrugLower": 0.4 * strength}
    if kind == "angry":
        narrowed = _both("mouthPress", 0.6 * strength) | _both("eyeSquint", 0.4 * strength)
        return _both("browDown", strength, rng) | narrowed
    if kind == "surprise":
        return (
            {"browInnerUp": strength, "jawOpen": strength * float(rng.random())}
            | _both("browOuterUp", strength) | _both("eyeWide", 0.9 * strength)
        )  # fmt: skip
    return _both("noseSneer", strength, rng) | _both("mouthUpperUp", 0.6 * strength) | _both("browDown", 0.5 * strength)


_space = lru_cache(maxsize=1)(arkit_motion_space)


def _from_coordinates(values: dict[str, float]) -> np.ndarray:
    """Expression (51,) of named coordinates in their natural units."""
    space = _space()
    read = torch.zeros(1, len(space.names))
    for name, value in values.items():
        read[0, space.index(name)] = value
    return space.decode(space.normalise(read))[1][0].numpy().astype(np.float64)


def _coordinate_value(name: str, rng: np.random.Generator, strength: float = 1.0) -> float:
    signed = name.endswith(("side", "gaze_x", "gaze_y"))
    return float(rng.uniform(-1 if signed else 0, 1)) * strength


def _several(rng: np.random.Generator) -> np.ndarray:
    names = rng.choice(_EXPRESSION_COORDINATES, int(rng.integers(3, 6)), replace=False)
    return _from_coordinates({str(n): _coordinate_value(str(n), rng, float(rng.uniform(0.3, 0.9))) for n in names})


def _eyes(expression: np.ndarray, rng: np.random.Generator, *, closed: bool, gaze: float) -> None:
    """Draw lids and gaze into an expression."""
    x, y = rng.uniform(-1, 1, 2) * gaze
    look = _from_coordinates({"gaze_x": float(x), "gaze_y": float(y)})
    expression += look
    if closed:
        lids = np.full(2, rng.uniform(0.7, 1.0))
        if rng.random() < 0.12:
            lids[rng.integers(2)] = rng.uniform(0, 0.3)
    else:
        lids = np.full(2, rng.beta(1.0, 6.0) * 0.5) + rng.normal(0, 0.02, 2)
    for name, value in zip(("eyeBlinkLeft", "eyeBlinkRight"), lids, strict=True):
        expression[_INDEX[name]] = max(expression[_INDEX[name]], value)


def tame(expression: np.ndarray) -> np.ndarray:
    """Resolve combinations that no face can make; in 0..1, the input is left as it is.

    Args:
        expression: (51,) ARKit coefficients.
    """
    e = np.clip(np.asarray(expression, np.float64), 0, 1).copy()

    def at(name: str) -> list[int]:
        return [i for n, i in _INDEX.items() if n.startswith(name)]

    jaw = e[_INDEX["jawOpen"]]
    smile, pucker = e[at("mouthSmile")].max(), max(e[_INDEX["mouthPucker"]], e[_INDEX["mouthFunnel"]])
    e[at("mouthFrown")] *= 1 - smile
    e[at("mouthSmile") + at("mouthStretch") + at("mouthDimple")] *= 1 - 0.8 * pucker
    e[at("mouthPress") + at("mouthRoll") + at("mouthShrug")] *= 1 - min(1.0, 1.4 * jaw)
    e[at("cheekPuff")] *= 1 - min(1.0, 1.6 * jaw)
    e[_INDEX["mouthClose"]] = min(e[_INDEX["mouthClose"]], 0.6 * jaw, 0.25)
    e[at("mouthUpperUp") + at("mouthLowerDown")] *= 1 - 0.5 * jaw
    e[_INDEX["mouthFunnel"]] *= 1 - 0.6 * e[_INDEX["mouthPucker"]]
    e[at("mouthLeft") + at("mouthRight")] *= 1 - 0.4 * jaw
    raised = max(e[_INDEX["browInnerUp"]], e[at("browOuterUp")].max())
    e[at("browDown")] *= 1 - 0.8 * raised
    for side in ("Left", "Right"):
        lid = e[_INDEX[f"eyeBlink{side}"]]
        e[_INDEX[f"eyeWide{side}"]] *= 1 - lid
        e[_INDEX[f"eyeSquint{side}"]] *= 1 - 0.7 * lid
        for a, b in (("Up", "Down"), ("In", "Out")):
            both = min(e[_INDEX[f"eyeLook{a}{side}"]], e[_INDEX[f"eyeLook{b}{side}"]])
            e[[_INDEX[f"eyeLook{a}{side}"], _INDEX[f"eyeLook{b}{side}"]]] -= both
    return np.clip(e, 0, 1)


def random_expression(rng: np.random.Generator) -> np.ndarray:
    """Draw a plausible expression.

    A mixture of near-neutral, talking, emotional, single-coordinate (every expression coordinate over its whole range)
    and mixed faces; a fifth of all frames have closed eyes.

    Returns:
        (51,) float64 ARKit coefficients in 0..1.
    """
    kind = rng.choice(_KINDS, p=_KIND_SHARES)
    expression = np.abs(rng.normal(0, 0.02, len(ARKIT_NAMES)))
    named: Weights = {}
    if kind == "talk":
        named = _talk(rng)
    elif kind == "emotion":
        named = _emotion(rng)
    elif kind == "single":
        name = str(rng.choice(_EXPRESSION_COORDINATES))
        expression += _from_coordinates({name: _coordinate_value(name, rng)})
    elif kind == "several":
        expression += _several(rng)
    for name, value in named.items():
        expression[_INDEX[name]] += value
    if kind in ("talk", "neutral") and rng.random() < 0.4:
        brow = str(rng.choice(("browInnerUp", "browOuterUp", "browDown")))
        expression[[i for n, i in _INDEX.items() if n.startswith(brow)]] += rng.uniform(0, 0.6)
    far = kind != "neutral" or rng.random() < 0.5
    closed = bool(rng.random() < _CLOSED_SHARE)
    _eyes(expression, rng, closed=closed, gaze=float(rng.choice([0.25, 1.0])) if far else 0.2)
    return tame(expression)


def random_angles(rng: np.random.Generator) -> np.ndarray:
    """Draw a head pose: (3,) yaw, pitch, roll in radians, within 45, 25 and 20 degrees."""
    yaw = rng.normal(0, 18) if rng.random() < 0.85 else rng.uniform(-45, 45)
    limits = np.array([45.0, 25.0, 20.0])
    return np.radians(np.clip([yaw, rng.normal(0, 10), rng.normal(0, 8)], -limits, limits))
