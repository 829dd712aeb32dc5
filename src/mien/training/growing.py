"""Twice the resolution for a finished system: what its finest layers are asked, and how their pictures are judged.

Codes, directions and masks act in front of the refined feature map; the layers behind it only draw what that map says.
So they alone learn to draw it finer, together with new ones at twice the resolution, and everything in front of them
goes on meaning what it meant: a head that turned by ten degrees still does. Refinement learns with them, from sources
of twice the side. What is finer comes from the true frames, pixel by pixel and from a discriminator that compares each
true frame with its own redrawing through random windows. What moves and has no true frame is compared with its own
source, below the eyes. What codes alone draw is held, at a quarter of the new resolution, to what the generator of
before makes of them.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from mien.face3d import MotionSpace
from mien.inversion import Encoder, FeatureRefiner, FeatureShift, grow_encoder, seeing_finer
from mien.losses.adversarial import prefer
from mien.losses.image import feature_l1, pyramid_l1
from mien.methods import DirectionMatrix
from mien.stylegan2 import Discriminator, DiscriminatorConfig, Generator, Trace, grow_generator
from mien.training.judges import Judges, missed_motion
from mien.training.refining import Inversion, Lessons

GROWTH_WEIGHTS = {
    "pixel": 8.0,
    "moved_pixel": 15.0,
    "kept": 20.0,
    "energy": 0.001,
    "texture": 2.0,
    "fool": 1.5,
    "cross_fool": 0.5,
    "cross_shape": 0.5,
    "cross_eye": 2.5,
    "cross_mouth": 1.0,
    "cross_expression": 15.0,
    "cross_id": 50.0,
    "moved_id": 40.0,
}
"""Of the losses: see `growth_losses`; then `watched_losses`, as far as there are judges."""
KEPT_SHRINK = 4
"""Pictures smaller by this factor stay what they were."""
BELOW_EYES = 0.44
"""Where eyes end in the `head` crop, as a share of its side. Few photographs close them or look aside, so a
discriminator that saw the eyes of moved ones would take that for what gives them away."""


class Grown(nn.Module):
    """A system at twice its resolution: all of it as before, and a new discriminator.

    Args:
        generator, encoder, directions, feature: of the smaller system; copied.
        channel_min: least width of the new layers (see `GeneratorConfig`); None: as narrow as the formula says.
        critic: sizes of the discriminator, whose resolution is the side of its windows.
    """

    def __init__(
        self,
        generator: Generator,
        encoder: Encoder,
        directions: DirectionMatrix,
        feature: FeatureRefiner,
        channel_min: int | None,
        critic: DiscriminatorConfig,
    ) -> None:
        super().__init__()
        self.generator = grow_generator(generator, channel_min)
        self.encoder = grow_encoder(encoder, self.generator.num_rows)
        self.directions = copy.deepcopy(directions)
        side = 2 * feature.config.resolution
        self.feature = seeing_finer(feature, self.generator.config.channels(side)).requires_grad_(True)
        self.discriminator = Discriminator(critic)
        for module in (self.generator, self.encoder, self.directions):
            module.requires_grad_(False)

    def go_on(self, generator: Generator, feature: FeatureRefiner, discriminator: Discriminator) -> None:
        """Begin with networks that were grown before.

        Raises:
            ValueError: they have other sizes, or look at pictures of another side.
        """
        sizes = [(self.generator.config, generator.config), (self.discriminator.config, discriminator.config)]
        sizes += [(_maps(self.feature), _maps(feature))]
        for wanted, given in sizes:
            if wanted != given:
                raise ValueError(f"what it should go on from has other sizes: {given} instead of {wanted}")
        self.generator.load_state_dict(generator.state_dict())
        self.discriminator.load_state_dict(discriminator.state_dict())
        self.feature = copy.deepcopy(feature).train().requires_grad_(True)

    def release(self) -> list[nn.Parameter]:
        """Let the generator's layers behind the refined feature map learn, and return what learns.

        Of layers that were there already the affine maps stay, which StyleMask reads.
        """
        generator, finest, side = self.generator, self.generator.config.resolution, self.feature.config.resolution
        learning: list[nn.Parameter] = []
        for name, parameter in generator.named_parameters():
            kind, _, rest = name.partition(".")
            if kind not in ("convs", "rgbs"):
                continue
            index = int(rest.split(".")[0])
            level = (index + 1) // 2 if kind == "convs" else index
            resolution = generator.config.resolutions[level]
            if resolution > side and (resolution == finest or ".affine." not in name):
                parameter.requires_grad_(True)
                learning.append(parameter)
        return learning


def _maps(feature: FeatureRefiner) -> tuple[int | None, ...]:
    """Side of the pictures that are compared, and which maps are refined."""
    config = feature.config
    return config.picture, config.resolution, config.channels, config.fine


@dataclass(frozen=True)
class Redrawn:
    """What one step drew of B sources, of which P have another frame and C move without a true answer.

    Attributes:
        still: (B, 3, S, S) sources at rest, refined.
        moved: (P, 3, S, S) pairs moved and refined.
        crossed: (C, 3, S, S) others moved and refined.
        plain: (N, 3, S, S) the first pairs moved by their codes alone.
        before: (N, 3, S/2, S/2) what the smaller generator draws for `plain`.
        delta: (B, D, R, R) Δf of the sources.
    """

    still: torch.Tensor
    moved: torch.Tensor
    crossed: torch.Tensor
    plain: torch.Tensor
    before: torch.Tensor
    delta: torch.Tensor

    @property
    def judged(self) -> torch.Tensor:
        """(B + P + N, 3, S, S) the pictures that have a true frame (see `true_frames`)."""
        return torch.cat([self.still, self.moved, self.plain])

    def true_frames(self, lessons: Lessons) -> torch.Tensor:
        """(B + P + N, 3, S, S) what `judged` should show."""
        return torch.cat([lessons.images, lessons.targets, lessons.targets[: len(self.plain)]])

    def sources(self, lessons: Lessons) -> torch.Tensor:
        """(C, 3, S, S) what `crossed` shows, before it moved."""
        return lessons.images[len(lessons.images) - len(self.crossed) :]


@dataclass(frozen=True)
class Redrawing:
    """The systems of before and after, drawing the same codes.

    Attributes:
        small: generator of before; frozen.
        inversion, after: encoder, directions, generator and refinement of after.
        steady: a frozen generator like that of after, which draws what has no true answer: a judge of motion must not
            teach a generator, which would rather fool it (docs/log.md).
    """

    small: Generator
    inversion: Inversion
    after: FeatureRefiner
    steady: Generator

    def draw(self, lessons: Lessons, num_plain: int) -> Redrawn:
        """Draw everything that a step looks at."""
        code, moved_code = self.inversion.codes(lessons)
        synthesis, trace = self.inversion.generator.synthesis, self.after.reading()
        with torch.no_grad():
            plain = synthesis(code, noise="none", trace=trace).float()
            before = self.small.synthesis(moved_code[:num_plain, : self.small.num_rows], noise="none").float()
        delta = self.after.encoder(lessons.images, plain)
        still = synthesis(code, noise="none", trace=self.after.at_rest(delta)).float()
        count, by_code = len(lessons.targets), synthesis(moved_code[:num_plain], noise="none").float()
        pairs, others = (
            self._moving(self.after, delta.detach(), trace, part)
            for part in (slice(count), slice(count, len(moved_code)))
        )
        moved = synthesis(moved_code[:count], noise="none", trace=pairs).float()
        crossed = moved[:0]
        if len(moved_code) > count:
            crossed = self.steady.synthesis(moved_code[count:], noise="none", trace=others).float()
        return Redrawn(still, moved, crossed, by_code, before, delta)

    @staticmethod
    def _moving(refiner: FeatureRefiner, delta: torch.Tensor, trace: Trace, part: slice) -> Trace:
        """A trace that moves some of the sources, whose feature maps `trace` kept."""
        own, source = delta[part], refiner.kept(trace)[part]
        return refiner.moving(FeatureShift(own, source, refiner.transformer.rest(own, source)))


Windows = list[tuple[slice, slice]]


def windows(count: int, side: int, window: int, draws: torch.Generator, *, below: float = 0.0) -> Windows:
    """Random squares (rows, columns) of `window` pixels in `count` pictures of `side` pixels.

    Their rows begin at least `below` (a share of the side) from the top, or as far down as windows fit.
    """
    last = side - window
    first = min(round(below * side), last)
    tops = torch.randint(first, last + 1, (count,), generator=draws).tolist()
    lefts = torch.randint(last + 1, (count,), generator=draws).tolist()
    return [(slice(top, top + window), slice(left, left + window)) for top, left in zip(tops, lefts, strict=True)]


def through(pictures: torch.Tensor, places: Windows) -> torch.Tensor:
    """(N, 3, S, S) → (N, 3, W, W): each picture through its window."""
    return torch.stack([picture[:, rows, columns] for picture, (rows, columns) in zip(pictures, places, strict=True)])


@dataclass(frozen=True)
class Views:
    """What the discriminator is shown, pair by pair: true and made pieces of pictures, (B + P + N + C, 3, W, W).

    The last C pairs show photographs as they are and the same ones moved; in all others both show the same.
    """

    true: torch.Tensor
    made: torch.Tensor


def look(redrawn: Redrawn, lessons: Lessons, window: int, draws: torch.Generator) -> Views:
    """Look at everything through random windows, at what has no true frame below the eyes."""
    side = redrawn.still.shape[-1]
    places = windows(len(redrawn.judged), side, window, draws)
    places += windows(len(redrawn.crossed), side, window, draws, below=BELOW_EYES)
    true = torch.cat([redrawn.true_frames(lessons), redrawn.sources(lessons)])
    made = torch.cat([redrawn.judged, redrawn.crossed])
    return Views(through(true, places), through(made, places))


def growth_losses(
    redrawn: Redrawn, lessons: Lessons, critic: Discriminator, views: Views, finest: float
) -> dict[str, torch.Tensor]:
    """Means of the losses of `GROWTH_WEIGHTS`.

    `pixel` compares sources, `moved_pixel` what moved, with the true frames (`pyramid_l1`); `kept` compares what codes
    alone draw with the pictures of before, at a quarter of the side; `energy` is the mean square of
    Δf; `texture`, `fool` and, where photographs move, `cross_fool` are the discriminator's, which is frozen.

    Args:
        redrawn: pictures with gradients.
        lessons: what was drawn.
        critic: the discriminator.
        views: what it sees of them (see `look`).
        finest: what the finest level and the edges count in the pixel losses: what cannot be foretold asks for blur.
    """
    with torch.no_grad():
        truth = critic.features(views.true)
        wanted = critic.judge(truth[-1]).float()
    maps, num_judged = critic.features(views.made), len(redrawn.judged)
    fooled = prefer(critic.judge(maps[-1]).float(), wanted)
    ours, theirs = ([level[:num_judged] for level in levels[:-1]] for levels in (maps, truth))
    count = len(redrawn.plain)
    moved = torch.cat([redrawn.moved, redrawn.plain])
    answers, weight = (torch.cat([x, x[:count]]) for x in (lessons.targets, lessons.target_weight))
    losses = {
        "pixel": pyramid_l1(redrawn.still, lessons.images, lessons.weight, finest=finest).mean(),
        "moved_pixel": pyramid_l1(moved, answers, weight, finest=finest).mean(),
        "energy": redrawn.delta.float().square().mean(),
        "texture": feature_l1(ours, theirs).mean(),
        "fool": fooled[:num_judged].mean(),
    }
    if count:
        small, before = F.avg_pool2d(redrawn.plain, KEPT_SHRINK), F.avg_pool2d(redrawn.before, KEPT_SHRINK // 2)
        losses["kept"] = (small - before).abs().mean()
    if len(redrawn.crossed):
        losses["cross_fool"] = fooled[num_judged:].mean()
    return losses


def watched_losses(judges: Judges, motion: MotionSpace, redrawn: Redrawn, lessons: Lessons) -> dict[str, torch.Tensor]:
    """What frozen networks see in pictures that move: means of the losses of `GROWTH_WEIGHTS` that need them.

    `cross_shape`, `cross_eye`, `cross_mouth` and `cross_expression` are what Net3D misses in portraits that were asked
    to move; where there is an identity net, `cross_id` is how little they look like their sources (1 − cosine), and
    `moved_id` how little pairs that moved look like the true frames.
    """
    losses: dict[str, torch.Tensor] = {}
    if len(redrawn.crossed):
        missed = missed_motion(judges, motion, redrawn.crossed, lessons.q_cross)
        losses |= {f"cross_{name}": value for name, value in missed.items()}
    if judges.identity is not None:
        losses["moved_id"] = judges.likeness(redrawn.moved, lessons.targets)["id"]
        if len(redrawn.crossed):
            losses["cross_id"] = judges.likeness(redrawn.crossed, lessons.images[-len(redrawn.crossed) :])["id"]
    return losses
