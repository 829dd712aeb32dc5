"""Random people: everything about a person that does not change from frame to frame, drawn from one seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

IDENTITY_SCALE = 0.8
IDENTITY_LIMIT = 2.0

# sRGB skin colours from very light to very dark, between which tones are interpolated.
_SKIN_RAMP = np.array(
    [
        [0.920, 0.765, 0.690], [0.890, 0.715, 0.615], [0.845, 0.660, 0.540], [0.755, 0.565, 0.435],
        [0.640, 0.450, 0.330], [0.500, 0.335, 0.240], [0.370, 0.240, 0.175], [0.270, 0.175, 0.135],
    ]
)  # fmt: skip
_HAIR_COLOURS = {
    "black": (0.060, 0.050, 0.050), "dark": (0.135, 0.095, 0.075), "brown": (0.255, 0.165, 0.110),
    "light": (0.420, 0.290, 0.190), "blond": (0.720, 0.560, 0.360), "pale": (0.840, 0.720, 0.520),
    "red": (0.370, 0.180, 0.110), "grey": (0.560, 0.550, 0.540), "white": (0.840, 0.830, 0.810),
}  # fmt: skip
_IRIS_COLOURS = {
    "dark": (0.165, 0.095, 0.060), "brown": (0.310, 0.180, 0.095), "hazel": (0.370, 0.290, 0.180),
    "green": (0.330, 0.420, 0.270), "blue": (0.300, 0.460, 0.620), "grey": (0.420, 0.480, 0.520),
}  # fmt: skip
_SHORT_MESHES = ("short01", "short02", "short03", "short04")
_LONG_MESHES = ("bob01", "bob02", "long01", "ponytail01", "braid01")


@dataclass(frozen=True, kw_only=True)
class Hair:
    """Hair of the scalp: fur shells, optionally under a mesh of longer hair.

    Attributes:
        mesh: name of a hair mesh, or None for fur alone.
        colour: sRGB 0..1.
        length: thickness of the fur in cm; 0 is a shaved or bald head.
        density: 0..1 share of strands that stand.
        curl: 0 straight .. 1 curly.
        comb: (3,) head-space direction in which the fur lies.
        front, recession, sideburn, nape: the hairline in cm of head height (y) at the forehead, its rise at the
            temples, its end in front of the ear and at the back.
        crown_loss: 0..1 baldness of the crown.
    """

    mesh: str | None
    colour: np.ndarray
    length: float
    density: float
    curl: float
    comb: np.ndarray
    front: float
    recession: float
    sideburn: float
    nape: float
    crown_loss: float


@dataclass(frozen=True, kw_only=True)
class Brows:
    """Painted eyebrows; lengths in cm."""

    colour: np.ndarray
    thickness: float
    arch: float
    raise_: float
    density: float
    tail: float
    gap: float


@dataclass(frozen=True, kw_only=True)
class Appearance:
    """What is painted on a head. A photograph-textured appearance would replace this and keep `Person`.

    Attributes:
        skin, lips, iris, clothes, teeth: sRGB 0..1.
        blush, freckles, eye_bags, stubble, makeup, age, gloss, mottle: strengths 0..1.
        iris_size: iris radius as a share of the eyeball's.
        lid_rest: how far the lids are closed at blink 0.
        fringe: height (y, cm) at which a fringe of long hair ends.
        neckline: depth of the front of the collar below the neck in cm.
        stripes: 1 for a striped shirt.
        paint_seed: seed of strokes and noise.
    """

    skin: np.ndarray
    lips: np.ndarray
    iris: np.ndarray
    clothes: np.ndarray
    clothes_accent: np.ndarray
    teeth: np.ndarray
    brows: Brows
    hair: Hair
    blush: float
    freckles: float
    eye_bags: float
    stubble: float
    makeup: float
    age: float
    gloss: float
    mottle: float
    iris_size: float
    neckline: float
    lid_rest: float
    fringe: float
    stripes: float
    paint_seed: int


@dataclass(frozen=True, kw_only=True)
class Person:
    """A head shape and what is painted on it.

    Attributes:
        seed: the seed it was drawn from.
        identity: (100,) float32 weights of the shape modes.
        appearance: colours, hair, brows, clothes.
    """

    seed: int
    identity: np.ndarray
    appearance: Appearance


def _skin(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    tone = float(np.clip(rng.beta(1.1, 1.45), 0.0, 1.0))
    where = tone * (len(_SKIN_RAMP) - 1)
    low = min(int(where), len(_SKIN_RAMP) - 2)
    colour = _SKIN_RAMP[low] + (where - low) * (_SKIN_RAMP[low + 1] - _SKIN_RAMP[low])
    warm = rng.normal(0, 0.014)
    return np.clip(colour * (1 + np.array([warm, rng.normal(0, 0.008), -1.3 * warm])), 0.05, 0.97), tone


def _natural_hair_colour(rng: np.random.Generator, tone: float, age: float) -> np.ndarray:
    if tone > 0.62:
        names, weights = ("black", "dark", "brown"), (0.70, 0.25, 0.05)
    elif tone > 0.35:
        names, weights = ("black", "dark", "brown", "light"), (0.35, 0.35, 0.23, 0.07)
    else:
        names = ("black", "dark", "brown", "light", "blond", "pale", "red")
        weights = (0.12, 0.20, 0.25, 0.15, 0.14, 0.06, 0.08)
    colour = np.array(_HAIR_COLOURS[rng.choice(names, p=weights)])
    grey = float(np.clip((age - 0.55) * 2.2 + rng.normal(0, 0.25), 0, 1)) if age > 0.45 else 0.0
    target = np.array(_HAIR_COLOURS["white" if rng.random() < 0.4 else "grey"])
    colour = colour + grey * (target - colour)
    return np.clip(colour * (1 + rng.normal(0, 0.12)) + rng.normal(0, 0.008, 3), 0.02, 0.95)


def _hair(rng: np.random.Generator, *, woman: bool, tone: float, age: float) -> Hair:
    colour = _natural_hair_colour(rng, tone, age)
    bald = not woman and rng.random() < 0.08 + 0.16 * age
    use_long = rng.random() < (0.66 if woman else 0.05)
    use_short = rng.random() < (0.35 if woman else 0.30)
    mesh: str | None = None
    if not bald and use_long:
        mesh = str(rng.choice(_LONG_MESHES, p=(0.30, 0.24, 0.22, 0.14, 0.10)))
    elif not bald and use_short:
        mesh = str(rng.choice(_SHORT_MESHES))
    curl = float(np.clip(rng.beta(1.0, 2.2) + (0.45 if tone > 0.62 else 0.0), 0, 1))
    length = float(np.exp(rng.uniform(np.log(0.35), np.log(3.2 if woman else 2.4))))
    if curl > 0.7 and rng.random() < 0.35:
        length = float(rng.uniform(2.0, 4.5))
    if mesh is not None:
        length = float(rng.uniform(0.3, 0.7))
    if bald:
        length = float(rng.choice([0.0, 0.07, 0.12]))
    side = float(rng.choice([-1.0, 1.0])) * rng.uniform(0.0, 0.7)
    forward = rng.uniform(-1.0, 0.2) if rng.random() < 0.6 else rng.uniform(0.2, 1.0)
    comb = np.array([side, rng.uniform(-0.6, 0.3), forward])
    recession = 0.0 if woman else float(np.clip(rng.exponential(0.5) + 1.3 * max(age - 0.3, 0), 0, 2.2))
    return Hair(
        mesh=mesh, colour=colour, length=length, density=float(rng.uniform(0.8, 1.0)), curl=curl,
        comb=comb / np.linalg.norm(comb), front=float(rng.normal(10.6, 0.45) + 0.3 * (not woman)),
        recession=recession, sideburn=float(rng.uniform(0.5, 3.8) if not woman else rng.uniform(2.2, 4.2)),
        nape=float(rng.uniform(-4.5, -2.0)),
        crown_loss=float(np.clip(rng.normal(1.1 * age - 0.55, 0.3), 0, 1)) if not woman and mesh is None else 0.0,
    )  # fmt: skip


def _brows(rng: np.random.Generator, hair_colour: np.ndarray, *, woman: bool) -> Brows:
    dark = np.clip(hair_colour * rng.uniform(0.45, 0.85), 0.02, 0.6)
    return Brows(
        colour=dark, thickness=float(rng.uniform(0.32, 0.62) * (0.82 if woman else 1.15)),
        arch=float(rng.normal(0.16 if woman else 0.05, 0.10)), raise_=float(rng.normal(0.0, 0.14)),
        density=float(rng.uniform(0.55, 1.0)), tail=float(rng.uniform(0.75, 1.0)), gap=float(rng.normal(0.0, 0.12)),
    )  # fmt: skip


def _clothes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    hue, saturation = rng.uniform(0, 6), rng.beta(1.2, 2.0)
    value = rng.uniform(0.08, 0.9)
    ramp = np.clip(np.abs((hue + np.array([0.0, 4.0, 2.0])) % 6 - 3) - 1, 0, 1)
    main = value * (1 - saturation * (1 - ramp))
    accent = np.clip(main * rng.uniform(0.4, 1.6), 0.03, 0.95)
    return main, accent


def _lips(rng: np.random.Generator, skin: np.ndarray, *, makeup: float) -> np.ndarray:
    natural = skin * np.array([0.90, 0.66, 0.68]) * rng.uniform(0.88, 1.04) + np.array([0.03, 0.0, 0.01])
    stick = np.array([rng.uniform(0.45, 0.80), rng.uniform(0.10, 0.32), rng.uniform(0.15, 0.38)])
    return np.clip(natural + 0.75 * makeup * (stick - natural), 0.03, 0.95)


def random_person(seed: int) -> Person:
    """The person of a seed: the same seed is the same person everywhere.

    Args:
        seed: non-negative integer.
    """
    rng = np.random.default_rng([seed, 0x5EED])
    identity = np.clip(rng.standard_normal(100), -IDENTITY_LIMIT, IDENTITY_LIMIT) * IDENTITY_SCALE
    woman = bool(rng.random() < 0.5)
    age = float(rng.beta(1.3, 1.7))
    skin, tone = _skin(rng)
    makeup = float(rng.beta(1.0, 1.6)) if woman and rng.random() < 0.6 else 0.0
    hair = _hair(rng, woman=woman, tone=tone, age=age)
    main, accent = _clothes(rng)
    names = ("dark", "brown") if tone > 0.5 else tuple(_IRIS_COLOURS)
    iris = np.clip(np.array(_IRIS_COLOURS[rng.choice(names)]) * rng.uniform(0.8, 1.2), 0.03, 0.8)
    stubble = 0.0 if woman else float(rng.choice([0.0, rng.uniform(0.1, 0.5), rng.uniform(0.5, 1.0)]))
    appearance = Appearance(
        skin=skin, lips=_lips(rng, skin, makeup=makeup), iris=iris, clothes=main, clothes_accent=accent,
        teeth=np.clip(np.array([0.90, 0.87, 0.80]) * rng.uniform(0.86, 1.0) - [0, 0.01, 0.05 * age], 0, 1),
        brows=_brows(rng, hair.colour, woman=woman), hair=hair,
        blush=float(rng.beta(1.6, 2.0)),
        freckles=float(rng.uniform(0.3, 1) if rng.random() < 0.15 and tone < 0.4 else 0),
        eye_bags=float(rng.beta(1.5, 2.5)), stubble=stubble, makeup=makeup, age=age,
        gloss=float(rng.uniform(0.25, 1.0)), mottle=float(rng.uniform(0.3, 1.0)),
        iris_size=float(rng.normal(0.405, 0.012)), neckline=float(rng.uniform(0.3, 3.4)),
        lid_rest=float(np.clip(rng.normal(0.13, 0.07), 0.0, 0.30)), fringe=float(rng.uniform(6.7, 10.5)),
        stripes=float(rng.random() < 0.2),
        paint_seed=int(rng.integers(2**31)),
    )  # fmt: skip
    return Person(seed=seed, identity=identity.astype(np.float32), appearance=appearance)
