"""Clips of rendered people: smooth curves of pose and expression, and the frames they drive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mien.face3d.params import ARKIT_NAMES
from mien.synth.motion import tame
from mien.synth.photo_renderer import PhotoRenderer
from mien.synth.photo_scene import PhotoScene
from mien.synth.renderer import Frame, HeadRenderer
from mien.synth.scenery import Scene, random_scene

_INDEX = {name: i for i, name in enumerate(ARKIT_NAMES)}
_VISEMES: tuple[dict[str, float], ...] = (
    {"jawOpen": 0.55, "mouthLowerDown": 0.25},
    {"jawOpen": 0.22, "mouthStretch": 0.40, "mouthSmile": 0.2},
    {"jawOpen": 0.18, "mouthFunnel": 0.65, "mouthPucker": 0.2},
    {"jawOpen": 0.08, "mouthPucker": 0.75},
    {"mouthRollLower": 0.35, "mouthRollUpper": 0.25, "mouthPress": 0.35},
    {"jawOpen": 0.12, "mouthUpperUp": 0.30, "mouthLowerDown": 0.25},
    {"jawOpen": 0.32, "mouthFunnel": 0.25},
)
"""Mouth shapes of speech as ARKit weights; names without a side mean both."""


@dataclass(frozen=True)
class Motion:
    """A clip's parameters over time.

    Attributes:
        angles: (T, 3) yaw, pitch, roll in radians.
        expression: (T, 51) ARKit coefficients in 0..1.
        rate: frames per second.
    """

    angles: np.ndarray
    expression: np.ndarray
    rate: float


def band_limited(rng: np.random.Generator, num_frames: int, rate: float, highest_hz: float, count: int) -> np.ndarray:
    """(num_frames, count) random curves of unit deviation without content above `highest_hz`."""
    duration = num_frames / rate + 4.0
    frequencies = np.arange(1, max(2, int(highest_hz * duration)) + 1) / duration
    phases = rng.uniform(0, 2 * np.pi, (len(frequencies), count))
    power = rng.rayleigh(1.0, (len(frequencies), count)) / (1 + frequencies / (0.4 * highest_hz))[:, None]
    times = np.arange(num_frames) / rate
    waves = np.cos(2 * np.pi * times[:, None, None] * frequencies[None, :, None] + phases[None])
    return (waves * power).sum(1) / np.sqrt(0.5 * (power**2).sum(0))


def _indices(name: str) -> list[int]:
    return [i for n, i in _INDEX.items() if n in (name, f"{name}Left", f"{name}Right")]


def _smooth_step(value: np.ndarray) -> np.ndarray:
    t = np.clip(value, 0, 1)
    return t * t * (3 - 2 * t)


def blink_curve(num_frames: int, rate: float, starts_s: np.ndarray) -> np.ndarray:
    """(num_frames,) closure in 0..1: each blink shuts in 80 ms, stays 40 ms and opens in 160 ms."""
    times = np.arange(num_frames)[:, None] / rate - starts_s[None]
    return (_smooth_step(times / 0.08) * _smooth_step((0.28 - times) / 0.16)).max(1, initial=0.0)


def talk_curve(rng: np.random.Generator, num_frames: int, rate: float, syllables_hz: float = 4.0) -> np.ndarray:
    """(num_frames, 51) mouth shapes of somebody talking: random visemes, blended smoothly."""
    count = int(num_frames / rate * syllables_hz) + 3
    shapes = np.zeros((count, len(ARKIT_NAMES)))
    for shape in shapes:
        for name, value in _VISEMES[rng.integers(len(_VISEMES))].items():
            shape[_indices(name)] = value * rng.uniform(0.6, 1.15)
    position = np.arange(num_frames) / rate * syllables_hz
    left = position.astype(int)
    blend = _smooth_step((position - left) * 1.25 - 0.1)[:, None]
    return shapes[left] * (1 - blend) + shapes[left + 1] * blend


def random_motion(num_frames: int, rate: float, motion_seed: int) -> Motion:
    """Somebody who looks around, talks now and then, smiles now and then, and blinks.

    Args:
        num_frames: frames, at least 1.
        rate: frames per second.
        motion_seed: the same seed is the same motion.
    """
    rng = np.random.default_rng([motion_seed, 0x3071])
    curves = band_limited(rng, num_frames, rate, 0.45, 8)
    angles = np.radians(np.clip(curves[:, :3] * (14.0, 7.0, 5.0), (-42, -22, -18), (42, 22, 18)))
    expression = np.zeros((num_frames, len(ARKIT_NAMES)))
    talking = _smooth_step(0.7 + 1.2 * curves[:, 3])[:, None]
    expression += talking * talk_curve(rng, num_frames, rate)
    expression[:, _indices("mouthSmile")] += (0.8 * _smooth_step(0.9 * curves[:, 4] - 0.2))[:, None]
    expression[:, _indices("cheekSquint")] += (0.5 * _smooth_step(0.9 * curves[:, 4] - 0.2))[:, None]
    expression[:, _indices("browInnerUp") + _indices("browOuterUp")] += 0.7 * _smooth_step(curves[:, 5] - 0.6)[:, None]
    gaze = 0.45 * curves[:, 6:8]
    for sign, names in ((1, ("eyeLookOutLeft", "eyeLookInRight")), (-1, ("eyeLookInLeft", "eyeLookOutRight"))):
        expression[:, [_INDEX[n] for n in names]] += np.maximum(sign * gaze[:, :1], 0)
    for sign, name in ((1, "eyeLookUp"), (-1, "eyeLookDown")):
        expression[:, _indices(name)] += np.maximum(sign * gaze[:, 1:], 0)
    starts = np.cumsum(rng.uniform(1.2, 4.0, int(num_frames / rate) + 2))
    expression[:, _indices("eyeBlink")] += blink_curve(num_frames, rate, starts)[:, None]
    return Motion(angles, np.stack([tame(e) for e in expression]), rate)


def render_motion(scene: Scene | PhotoScene, motion: Motion, size: int, supersample: int = 2) -> Iterator[Frame]:
    """Render a scene's person, drawn or photographed, in motion, frame by frame in constant memory."""
    if isinstance(scene, PhotoScene):
        with PhotoRenderer(size, supersample) as renderer:
            yield from renderer.stream(scene, motion.angles, motion.expression)
    else:
        with HeadRenderer(size, supersample) as renderer:
            yield from renderer.stream(scene, motion.angles, motion.expression)


def render_sequence(
    person_seed: int, num_frames: int, rate: float = 25.0, motion_seed: int = 0, size: int = 256
) -> Iterator[Frame]:
    """Render a clip of a random person in random motion.

    Args:
        person_seed: seed of the person, the light and the place.
        num_frames: length of the clip.
        rate: frames per second.
        motion_seed: seed of the motion.
        size: side of the frames in pixels.

    Yields:
        Frames with their true parameters, in order.

    Raises:
        MissingDataError, MissingExtraError, RenderError: rendering is not possible here.
    """
    motion = random_motion(num_frames, rate, motion_seed)
    yield from render_motion(random_scene(person_seed, person_seed, size), motion, size)
