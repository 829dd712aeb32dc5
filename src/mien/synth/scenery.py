"""What surrounds a person: light, camera, background. A `Scene` is shared by its frames."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mien.synth.people import Person, random_person


@dataclass(frozen=True, kw_only=True)
class Light:
    """A key light, a light from behind, and surroundings of linear variation; linear radiance, camera axes.

    Attributes:
        key_direction, rim_direction: (3,) unit vectors towards the lights.
        key_colour, rim_colour: (3,) linear.
        ambient: (4, 3) constant, x, y and z terms.
    """

    key_direction: np.ndarray
    key_colour: np.ndarray
    rim_direction: np.ndarray
    rim_colour: np.ndarray
    ambient: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Where the camera is.

    Attributes:
        distance: cm from the head's centre; small distances are strong perspective.
        offset: (2,) cm by which the head is off the optical axis.
    """

    distance: float
    offset: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One person in one place.

    Attributes:
        backdrop: (B, B, 3) uint8 picture behind the person, larger than a frame.
        body_yaw: radians by which the shoulders face away from the camera.
    """

    person: Person
    light: Light
    camera: Camera
    backdrop: np.ndarray
    body_yaw: float


def _direction(azimuth_deg: float, elevation_deg: float) -> np.ndarray:
    azimuth, elevation = np.radians(azimuth_deg), np.radians(elevation_deg)
    cosine = np.cos(elevation)
    return np.array([np.sin(azimuth) * cosine, np.sin(elevation), np.cos(azimuth) * cosine])


def _tint(rng: np.random.Generator, strength: float) -> np.ndarray:
    warmth, green = rng.normal(0, strength), rng.normal(0, 0.3 * strength)
    return np.array([1 + warmth, 1 + green, 1 - warmth])


def random_light(rng: np.random.Generator) -> Light:
    """Draw a plausible light: mostly soft from the front and above, sometimes hard from a side."""
    azimuth = rng.normal(0, 38) if rng.random() < 0.8 else rng.uniform(-85, 85)
    key = rng.uniform(0.35, 1.05) * _tint(rng, 0.07)
    level = rng.uniform(0.16, 0.46) * (1.15 if key[1] < 0.6 else 0.9)
    tint = _tint(rng, 0.06)
    gradient = rng.normal(0, 1, (3, 1)) * np.array([[0.25], [0.18], [0.12]]) * level
    gradient[1] += 0.28 * level
    colours = _tint(rng, 0.10), _tint(rng, 0.10), _tint(rng, 0.10)
    ambient = np.concatenate([level * tint[None], gradient * np.stack(colours)])
    side = float(rng.choice([-1.0, 1.0]))
    return Light(
        key_direction=_direction(np.clip(azimuth, -85, 85), np.clip(rng.normal(28, 16), -10, 70)),
        key_colour=key,
        rim_direction=_direction(side * rng.uniform(95, 150), rng.uniform(0, 45)),
        rim_colour=(rng.uniform(0.15, 0.8) if rng.random() < 0.5 else 0.05) * _tint(rng, 0.15),
        ambient=ambient,
    )


def random_camera(rng: np.random.Generator) -> Camera:
    """Draw a camera between a selfie at 48 cm and a portrait lens at 160 cm."""
    return Camera(distance=float(np.exp(rng.uniform(np.log(48), np.log(160)))), offset=rng.normal(0, 0.7, 2))


def random_backdrop(rng: np.random.Generator, size: int, light: Light) -> np.ndarray:
    """Draw a background: a plain gradient, out-of-focus spots, or blurred room-like shapes.

    Returns:
        (size, size, 3) uint8.
    """
    work = 160
    hue = rng.uniform(0, 6)
    ramp = np.clip(np.abs((hue + np.array([0.0, 4.0, 2.0])) % 6 - 3) - 1, 0, 1)
    base = rng.uniform(0.06, 0.92) * (1 - rng.beta(1.0, 4.5) * (1 - ramp))
    y, x = np.mgrid[0:work, 0:work].astype(np.float32) / work
    angle, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.5)
    shade = 1 + slope * (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5))
    picture = (base[None, None] * shade[..., None]).astype(np.float32)
    kind = rng.random()
    if kind > 0.3:
        for _ in range(int(rng.integers(4, 22))):
            colour = np.clip(base * rng.uniform(0.25, 1.9) + rng.normal(0, 0.05, 3), 0, 1).tolist()
            centre = rng.integers(-10, work + 10, 2)
            if kind < 0.55:
                cv2.circle(picture, (int(centre[0]), int(centre[1])), int(rng.integers(3, 26)), colour, -1)
            else:
                extent = np.array([rng.integers(4, 60), rng.integers(20, 160)])
                if rng.random() < 0.4:
                    extent = extent[::-1]
                low, high = (centre - extent // 2).tolist(), (centre + extent // 2).tolist()
                cv2.rectangle(picture, low, high, colour, -1)
        picture = cv2.GaussianBlur(picture, (0, 0), float(np.exp(rng.uniform(np.log(1.2), np.log(9.0)))))
    tint = np.clip(light.ambient[0] / light.ambient[0].mean(), 0.8, 1.2)
    large = cv2.resize(picture * tint.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(large * 255 + 0.5, 0, 255).astype(np.uint8)


def random_scene(person_seed: int, scene_seed: int, size: int) -> Scene:
    """The scene of a seed around the person of a seed.

    Args:
        person_seed: seed of the person.
        scene_seed: seed of light, camera and background.
        size: side of the frames in pixels; the backdrop is larger by half.
    """
    rng = np.random.default_rng([scene_seed, 0x5CE7E])
    light = random_light(rng)
    return Scene(
        person=random_person(person_seed), light=light, camera=random_camera(rng),
        backdrop=random_backdrop(rng, size * 3 // 2, light), body_yaw=float(rng.normal(0, 0.2)),
    )  # fmt: skip
