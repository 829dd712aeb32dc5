"""Random scenes of photographed people: shapes and textures mixed, other light, other tone, other place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from mien.synth.fitting import NUM_IDENTITY
from mien.synth.lighting import shade_of
from mien.synth.people_pack import PeoplePack
from mien.synth.photograph import PhotoHead
from mien.synth.scenery import Camera, random_backdrop, random_light

_MIXED_SHARE = 0.65
_FRONT = np.array([[0.0, 0.0, 1.0], [0.4, 0.0, 0.917], [-0.4, 0.0, 0.917], [0.0, 0.4, 0.917], [0.0, -0.4, 0.917]])


@dataclass(frozen=True, kw_only=True)
class PhotoScene:
    """One photographed person, possibly mixed with others, in one place.

    Attributes:
        head: whose hair, body and eyes are seen.
        identity: (100,) float32 shape.
        albedo, confidence: face texture, as in `PhotoHead`.
        light: (9,) float32 light on the person.
        tint, hair_tint: (3,) linear gain of skin and of hair.
        camera: where the camera is.
        backdrop: (B, B, 3) uint8 picture behind the person, larger than a frame.
        body_yaw: radians by which the shoulders turn away from how they were photographed.
        is_mirrored: whether pictures show the scene in a mirror.
    """

    head: PhotoHead
    identity: np.ndarray
    albedo: np.ndarray
    confidence: np.ndarray
    light: np.ndarray
    tint: np.ndarray
    hair_tint: np.ndarray
    camera: Camera
    backdrop: np.ndarray
    body_yaw: float
    is_mirrored: bool = False

    def eye_light(self) -> dict[str, Any]:
        """The light in the terms of the programs that draw eyes, teeth and lashes."""
        slope = self.light[1:4]
        direction = slope + np.array([0.0, 0.15, 0.5])
        level = 0.43 * float(np.clip(self.tint.mean(), 0.7, 1.2))
        ambient = level * np.stack([np.full(3, 1.0), *(np.full(3, 0.5 * s) for s in slope)])
        return {
            "key_direction": direction / np.linalg.norm(direction), "key_colour": np.full(3, 0.75 * level),
            "rim_direction": np.array([0.0, 0.0, -1.0]), "rim_colour": np.zeros(3), "ambient": ambient,
        }  # fmt: skip

    def lash_colour(self) -> np.ndarray:
        """(3,) display colour of the lashes."""
        return 0.35 * np.clip(self.head.ring_colour.mean(0) / 255, 0.05, 0.35)


def plain_scene(head: PhotoHead, size: int, distance: float | None = None) -> PhotoScene:
    """A photographed person as photographed.

    Args:
        head: the person.
        size: side of the frames in pixels.
        distance: of the camera in cm; by default as in the photograph.
    """
    away = float(-head.translation[2]) if distance is None else distance
    return PhotoScene(
        head=head, identity=head.identity, albedo=head.albedo, confidence=head.confidence, light=head.light,
        tint=np.ones(3), hair_tint=np.ones(3), camera=Camera(distance=away, offset=np.zeros(2)),
        backdrop=cv2.resize(head.background, (size * 3 // 2,) * 2, interpolation=cv2.INTER_AREA), body_yaw=0.0,
    )  # fmt: skip


def mixed_texture(first: PhotoHead, second: PhotoHead, share: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Albedo and confidence between two people; the second takes on the first one's brightness and tint.

    Args:
        first, second: the people.
        share: of the second, 0..1.
    """
    weight = (np.minimum(first.confidence, second.confidence) / 255.0)[..., None].astype(np.float32)
    a, b = first.albedo.astype(np.float32), second.albedo.astype(np.float32)
    total = weight.sum((0, 1)) + 1e-3
    gain = np.clip((a * weight).sum((0, 1)) / np.maximum((b * weight).sum((0, 1)), total), 0.45, 2.2)
    albedo = a + share * (b * gain - a)
    confidence = first.confidence + share * (second.confidence.astype(np.float32) - first.confidence)
    return np.clip(albedo + 0.5, 0, 255).astype(np.uint8), np.clip(confidence + 0.5, 0, 255).astype(np.uint8)


def _other(rng: np.random.Generator, pack: PeoplePack, numbers: Sequence[int], first: int) -> int:
    """Somebody else, of the same kind of name where there is one."""
    kind = pack.names[first].split("_")[0]
    close = [n for n in numbers if n != first and pack.names[n].split("_")[0] == kind]
    return int(rng.choice(close or [n for n in numbers if n != first] or [first]))


def _light(rng: np.random.Generator, own: np.ndarray, other: np.ndarray) -> np.ndarray:
    kind = rng.random()
    if kind < 0.35:
        return own
    if kind < 0.7:
        return own + rng.uniform(0.3, 1.0) * (other - own)
    fresh = np.r_[1.0, rng.normal(0, 0.24), rng.normal(0.14, 0.16), rng.normal(0.0, 0.12), rng.normal(0, 0.06, 5)]
    light = fresh + rng.uniform(0, 0.5) * (own - fresh)
    # As bright as before on a face that looks at the camera.
    return light * float(shade_of(own, _FRONT).mean() / shade_of(light, _FRONT).mean())


def _backdrop(rng: np.random.Generator, own: np.ndarray, other: np.ndarray, size: int) -> np.ndarray:
    kind, side = rng.random(), size * 3 // 2
    if kind < 0.3:
        return random_backdrop(rng, side, random_light(rng))
    picture = own if kind < 0.75 else other
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    blurred = cv2.GaussianBlur(picture, (0, 0), float(np.exp(rng.uniform(np.log(0.3), np.log(4.0)))))
    gain = np.exp(rng.normal(0, 0.15) + rng.normal(0, 0.05, 3))
    whole = cv2.resize(blurred.astype(np.float32) * gain, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.clip(whole + 0.5, 0, 255).astype(np.uint8)


def random_photo_scene(pack: PeoplePack, numbers: Sequence[int], seed: int, size: int) -> PhotoScene:
    """A new person, mixed from photographed ones, in a new light and place.

    Hair, body and eyes come from one person; shape and face texture lie between that one and another.

    Args:
        pack: the people.
        numbers: which of them may be used.
        seed: non-negative; the same seed is the same scene.
        size: side of the frames in pixels; the backdrop is larger by half.
    """
    rng = np.random.default_rng([seed, 0x9407])
    first = int(rng.choice(numbers))
    head, other = pack.person(first), pack.person(_other(rng, pack, numbers, first))
    is_mixed = rng.random() < _MIXED_SHARE
    share = rng.uniform(0.2, 0.85) if is_mixed else 0.0
    albedo, confidence = mixed_texture(head, other, share) if is_mixed else (head.albedo, head.confidence)
    shape = head.identity + (0.8 * share * rng.uniform(0.3, 1.2)) * (other.identity - head.identity)
    shape = shape + rng.normal(0, 0.35, len(shape)) * (np.arange(len(shape)) < NUM_IDENTITY)
    brightness = np.exp(np.clip(rng.normal(0, 0.16), -0.4, 0.25))
    tint = brightness * np.exp(rng.normal(0, 0.04, 3))
    hair = np.exp(rng.normal(0, 0.22) + rng.normal(0, 0.05, 3))
    away = float(np.clip(-head.translation[2] * np.exp(rng.uniform(-0.1, 0.6)), 45, 140))
    return PhotoScene(
        head=head, identity=shape.astype(np.float32), albedo=albedo, confidence=confidence,
        light=_light(rng, head.light, other.light).astype(np.float32), tint=tint, hair_tint=hair,
        camera=Camera(distance=away, offset=rng.normal(0, 0.5, 2)),
        backdrop=_backdrop(rng, head.background, other.background, size), body_yaw=float(rng.normal(0, 0.08)),
        is_mirrored=bool(rng.random() < 0.5),
    )  # fmt: skip
