"""What feature refinement is asked, and how its answers are judged (METHODS section 3).

E_F learns on inversions: f + Δf must draw the source. FT learns on pairs: the other frame of the scene is the true
answer to where Δf belongs once the head has moved. Photographs have no other frame, and more Δf than renders: what they
are moved to is asked of somebody else, and Net3D says whether Δf let it through. Only the first lesson reaches E_F,
which would learn to say less.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch

from mien.data.pairs import PairBatch
from mien.face3d import MotionSpace
from mien.face3d.motion import Q_LIMIT
from mien.inversion import Encoder, FeatureRefiner, FeatureShift
from mien.losses.image import pyramid_l1
from mien.methods import DirectionMatrix
from mien.stylegan2 import Discriminator, Generator
from mien.training.judges import Judges, missed_motion, sharpness_loss
from mien.training.photographs import Photographs
from mien.training.schemes import Pairs, wanted_motion

SINGLE_SHARE = 0.5
"""Of the photographs that move, this share moves along one coordinate only."""

FEATURE_WEIGHTS = {
    "pixel": 10.0,
    "perceptual": 5.0,
    "id": 10.0,
    "energy": 0.001,
    "moved_pixel": 10.0,
    "moved_perceptual": 5.0,
    "moved_id": 10.0,
    "cross_shape": 1.0,
    "cross_eye": 2.0,
    "cross_mouth": 2.0,
    "cross_expression": 20.0,
    "cross_id": 10.0,
    "sharp": 0.3,
}
"""Of the losses: inversion, the mean square of Δf, moved pairs, moved photographs; `sharp` needs a discriminator."""


@dataclass(frozen=True)
class Lessons:
    """B sources, of which the first P have another frame of their scene; of the others, C move without a true answer.

    Attributes:
        images, weight: (B, 3, S, S) sources and (B, 1, S, S) their reconstruction weights.
        q_source: (B, k) their coordinates.
        targets: (P, 3, S, S) the other frames; q_target: (P, k) their coordinates; target_weight: (P, 1, S, S).
        q_cross: (C, k) coordinates that the others move to: all of them, C = B − P, or none.
    """

    images: torch.Tensor
    weight: torch.Tensor
    q_source: torch.Tensor
    targets: torch.Tensor
    q_target: torch.Tensor
    target_weight: torch.Tensor
    q_cross: torch.Tensor

    @property
    def true(self) -> torch.Tensor:
        """(B + P, 3, S, S) sources, then the other frames."""
        return torch.cat([self.images, self.targets])

    @property
    def q_wanted(self) -> torch.Tensor:
        """(P + C, k) coordinates of everything that moves; its sources are the first P + C."""
        return torch.cat([self.q_target, self.q_cross])

    def part(self, share: slice) -> Lessons:
        """A share of the pairs and the same share of the single pictures."""
        num_pairs, everything = len(self.targets), torch.arange(len(self.images))
        index = torch.cat([everything[:num_pairs][share], everything[num_pairs:][share]])
        sources = (self.images[index], self.weight[index], self.q_source[index])
        asked = (self.targets[share], self.q_target[share], self.target_weight[share], self.q_cross[share])
        return Lessons(*sources, *asked)

    def to(self, device: torch.device) -> Lessons:
        """The same lessons on another device."""
        return Lessons(*(getattr(self, f.name).to(device) for f in fields(self)))


def draw_lessons(
    pairs: Pairs,
    photographs: Photographs | None,
    motion: MotionSpace,
    counts: tuple[int, int],
    draws: torch.Generator,
    crossing: bool = False,
) -> Lessons:
    """Pairs of frames, and photographs, which have no other frame.

    Args:
        pairs: scenes.
        photographs: crops with parameters; None leaves them out.
        motion: the coordinates.
        counts: B, and the number of photographs among them.
        draws: everything random.
        crossing: let photographs move: half of them like a frame of some scene, half along one coordinate.
    """
    total, num_photos = counts
    scenes = torch.randint(len(pairs), (total - num_photos,), generator=draws)
    batch: PairBatch = pairs.draw(scenes, draws)
    images, weight, q = [batch.target], [batch.weight], [batch.q_target]
    if photographs is not None and num_photos:
        photo, photo_weight, params = photographs.draw(num_photos, draws)
        images, weight, q = [*images, photo], [*weight, photo_weight], [*q, motion.encode(params)]
    sources = (torch.cat(images), torch.cat(weight), torch.cat(q))
    q_cross = sources[2][:0]
    if crossing and num_photos:
        drivers = pairs.draw(torch.randint(len(pairs), (num_photos,), generator=draws), draws).q_target
        q_cross = wanted_motion(sources[2][-num_photos:], drivers.clamp(-Q_LIMIT, Q_LIMIT), SINGLE_SHARE, draws)
    return Lessons(*sources, batch.source, batch.q_source, batch.source_weight, q_cross)


@dataclass(frozen=True)
class Inversion:
    """Everything frozen that refinement starts from: pictures → codes → feature maps."""

    encoder: Encoder
    directions: DirectionMatrix
    generator: Generator
    truncation: float = 1.0

    @torch.no_grad()
    def codes(self, lessons: Lessons) -> tuple[torch.Tensor, torch.Tensor]:
        """Truncated codes (B, L, D) of the sources, and (P + C, L, D) of those that move, moved."""
        code = self.encoder(lessons.images).float()
        if self.encoder.config.pose_free:
            code = self.directions.shift(code, lessons.q_source)
        wanted = lessons.q_wanted
        moved = self.directions.shift(code[: len(wanted)], wanted - lessons.q_source[: len(wanted)])
        return self.generator.truncate(code, self.truncation), self.generator.truncate(moved, self.truncation)


@dataclass(frozen=True)
class Refined:
    """What came out: Δf, sources redrawn (B, 3, S, S) without and with it, pairs and photographs moved.

    `moved` is (P, 3, S, S), `crossed` (C, 3, S, S).
    """

    delta: torch.Tensor
    plain: torch.Tensor
    inversion: torch.Tensor
    moved: torch.Tensor
    crossed: torch.Tensor

    @property
    def drawn(self) -> torch.Tensor:
        """(B + P, 3, S, S) refined pictures, which should show `Lessons.true`."""
        return torch.cat([self.inversion, self.moved])


def refine(inversion: Inversion, refiner: FeatureRefiner, lessons: Lessons) -> Refined:
    """Redraw all sources, and move what moves with what the transformer makes of its Δf."""
    generator, trace = inversion.generator, refiner.reading()
    code, moved_code = inversion.codes(lessons)
    with torch.no_grad():
        plain = generator.synthesis(code, noise="none", trace=trace).float()
    delta = refiner.encoder(lessons.images, plain)
    still = generator.synthesis(code, noise="none", trace=refiner.at_rest(delta)).float()
    own, source = delta[: len(moved_code)].detach(), refiner.kept(trace)[: len(moved_code)]
    carried = FeatureShift(own, source, refiner.transformer.rest(own, source))
    moved = generator.synthesis(moved_code, noise="none", trace=refiner.moving(carried)).float()
    num_pairs = len(lessons.targets)
    return Refined(delta, plain, still, moved[:num_pairs], moved[num_pairs:])


@dataclass(frozen=True)
class RefinementJury:
    """The networks that look at what came out; `discriminator` is optional.

    `finest` is what the finest level counts in the pixel loss of moved pictures (`pyramid_l1`): what they show anew
    cannot be foretold.
    """

    judges: Judges
    motion: MotionSpace
    discriminator: Discriminator | None = None
    finest: float = 1.0

    def verdict(self, lessons: Lessons, refined: Refined) -> dict[str, torch.Tensor]:
        """Means of all losses of `FEATURE_WEIGHTS`; `cross_…` where photographs move, `sharp` with a discriminator."""
        losses = self._redrawn(refined.inversion, lessons.images, lessons.weight)
        losses["energy"] = refined.delta.float().square().mean()
        moved = self._redrawn(refined.moved, lessons.targets, lessons.target_weight, self.finest)
        losses |= {f"moved_{name}": value for name, value in moved.items()}
        if len(lessons.q_cross):
            losses |= {f"cross_{name}": value for name, value in self._crossed(lessons, refined.crossed).items()}
        if self.discriminator is not None:
            losses["sharp"] = sharpness_loss(self.discriminator, refined.drawn, lessons.true)
        return losses

    def _crossed(self, lessons: Lessons, crossed: torch.Tensor) -> dict[str, torch.Tensor]:
        losses = missed_motion(self.judges, self.motion, crossed, lessons.q_cross)
        losses["id"] = self.judges.likeness(crossed, lessons.images[-len(crossed) :])["id"]
        return losses

    def _redrawn(
        self, result: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor, finest: float = 1.0
    ) -> dict[str, torch.Tensor]:
        pixel = pyramid_l1(result, truth, weight, finest=finest).mean()
        return {"pixel": pixel} | self.judges.likeness(result, truth)
