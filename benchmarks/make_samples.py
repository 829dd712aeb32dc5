"""Makes the packaged samples: two rendered source pictures and a rendered clip with sound.

Nobody in them is real: the sources are people mixed from generated portraits (`mien fit`), the driver is drawn. With
the data pack in place: `python benchmarks/make_samples.py people.npz`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from mien.face3d.params import ARKIT_NAMES
from mien.images import write_image
from mien.synth.motion import tame
from mien.synth.people_pack import PeoplePack
from mien.synth.photo_renderer import PhotoRenderer
from mien.synth.photo_scene import random_photo_scene
from mien.synth.renderer import HeadRenderer
from mien.synth.scenery import random_scene
from mien.synth.sequence import Motion, blink_curve, talk_curve

SAMPLES = Path(__file__).parents[1] / "src" / "mien" / "assets" / "samples"
SOURCES = {"source_1.jpg": 36, "source_2.jpg": 21}
"""File name -> seed of the scene, of held-out people and mixed."""
SOURCE_SIZE = 512
DRIVER_SEED, DRIVER_FRAMES, DRIVER_RATE, DRIVER_SIZE = 7009, 112, 25, 320
WIDER = -0.27
"""Scale of the framing against the `head` crop, so that the shoulders are in view."""
SOUND_RATE = 48_000


def _bump(times: np.ndarray, start: float, end: float, ramp: float = 0.35) -> np.ndarray:
    """0 → 1 → 0 with smooth ramps inside [start, end] seconds."""
    t = np.clip(np.minimum(times - start, end - times) / ramp, 0, 1)
    return t * t * (3 - 2 * t)


def _wave(times: np.ndarray, start: float, end: float, cycles: float) -> np.ndarray:
    """A sine of some cycles inside [start, end] seconds, faded at both ends."""
    return np.sin(2 * np.pi * cycles * (times - start) / (end - start)) * _bump(times, start, end)


def driver_motion() -> Motion:
    """Looks left and right, nods, tilts, talks, smiles, raises the brows and blinks, in four and a half seconds."""
    times = np.arange(DRIVER_FRAMES) / DRIVER_RATE
    drift = np.stack([np.sin(1.9 * times), np.sin(1.3 * times + 1), np.sin(1.6 * times + 2)], -1) * (2.0, 1.5, 1.0)
    angles = drift * _bump(times, 0.0, times[-1] + 1.0)[:, None]
    angles[:, 0] += 26 * _wave(times, 0.3, 1.7, 1.0)
    angles[:, 1] += 12 * _wave(times, 1.5, 2.5, 1.0)
    angles[:, 2] += 12 * _wave(times, 2.3, 3.4, 1.0)
    talk = talk_curve(np.random.default_rng(11), DRIVER_FRAMES, DRIVER_RATE)
    expression = talk * np.clip(_bump(times, 0.4, 1.9) + _bump(times, 2.2, 3.3), 0, 1)[:, None]

    def add(names: Iterable[str], curve: np.ndarray) -> None:
        for name in names:
            expression[:, ARKIT_NAMES.index(name)] += curve

    smile = _bump(times, 3.1, 4.48, 0.4)
    add(("mouthSmileLeft", "mouthSmileRight"), 0.85 * smile)
    add(("cheekSquintLeft", "cheekSquintRight"), 0.5 * smile)
    add(("jawOpen", "mouthUpperUpLeft", "mouthUpperUpRight"), 0.12 * smile)
    add(("browInnerUp", "browOuterUpLeft", "browOuterUpRight"), 0.7 * _bump(times, 1.7, 2.4))
    add(("eyeBlinkLeft", "eyeBlinkRight"), blink_curve(DRIVER_FRAMES, DRIVER_RATE, np.array([0.16, 1.36, 2.52, 3.68])))
    look = _wave(times, 0.2, 1.6, 1.0)
    add(("eyeLookOutLeft", "eyeLookInRight"), 0.4 * np.maximum(look, 0))
    add(("eyeLookInLeft", "eyeLookOutRight"), 0.4 * np.maximum(-look, 0))
    return Motion(np.radians(angles), np.stack([tame(e) for e in expression]), DRIVER_RATE)


def soft_tones(duration_s: float) -> np.ndarray:
    """(1, samples) float32: a quiet sequence of bell-like tones."""
    times = np.arange(int(duration_s * SOUND_RATE)) / SOUND_RATE
    sound = np.zeros_like(times)
    notes = (0, 4, 7, 12, 9, 7, 4, 2, 0, 7, 12)
    for i, note in enumerate(notes):
        since = times - 0.4 * i
        pitch = 261.63 * 2 ** (note / 12)
        envelope = np.where(since >= 0, np.exp(-3.0 * since) * np.clip(since / 0.02, 0, 1), 0)
        sound += envelope * (np.sin(2 * np.pi * pitch * since) + 0.25 * np.sin(4 * np.pi * pitch * since))
    sound *= np.clip((duration_s - times) / 0.2, 0, 1)
    return (0.18 * sound)[None].astype(np.float32)


def write_driver(path: Path) -> None:
    """Render the driving clip: H.264 4:2:0 with AAC sound, index first."""
    motion = driver_motion()
    scene = random_scene(DRIVER_SEED, DRIVER_SEED, DRIVER_SIZE)
    framing = np.tile([0.0, 0.03, WIDER], (DRIVER_FRAMES, 1))
    frames = HeadRenderer(DRIVER_SIZE).stream(scene, motion.angles, motion.expression, framing, steady=True)
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as file:
        video = file.add_stream("libx264", rate=DRIVER_RATE, options={"crf": "21", "preset": "slow"})
        video.width = video.height = DRIVER_SIZE
        video.pix_fmt = "yuv420p"
        sound = file.add_stream("aac", rate=SOUND_RATE, layout="mono")
        sound.bit_rate = 80_000
        for frame in frames:
            file.mux(video.encode(av.VideoFrame.from_ndarray(frame.image, "rgb24")))
        file.mux(video.encode())
        samples = soft_tones(DRIVER_FRAMES / DRIVER_RATE)
        for start in range(0, samples.shape[1], 1024):
            part = av.AudioFrame.from_ndarray(samples[:, start : start + 1024], "fltp", "mono")
            part.sample_rate, part.pts, part.time_base = SOUND_RATE, start, Fraction(1, SOUND_RATE)
            file.mux(sound.encode(part))
        file.mux(sound.encode())


def write_sources(folder: Path, people: Path) -> None:
    """Render the source pictures: people mixed from those of a pack whom nothing was trained on, straight ahead."""
    renderer = PhotoRenderer(SOURCE_SIZE, 2)
    with PeoplePack(people) as pack:
        for file, seed in SOURCES.items():
            scene = random_photo_scene(pack, pack.numbers(held_out=True), seed, SOURCE_SIZE)
            if np.array_equal(scene.albedo, scene.head.albedo):
                raise ValueError(f"seed {seed} shows one person of the pack, mixed with nobody")
            frame = renderer.render(scene, np.zeros((1, 3)), np.zeros((1, len(ARKIT_NAMES))))[0]
            write_image(folder / file, frame.image)


if __name__ == "__main__":
    SAMPLES.mkdir(parents=True, exist_ok=True)
    write_sources(SAMPLES, Path(sys.argv[1]))
    write_driver(SAMPLES / "driver.mp4")
