"""What joint training asks of encoder and A together, and how answers are judged (METHODS section 3).

Half of the questions are pairs: a picture moves to another frame of its scene, which is the true answer. The other half
cross subjects: a picture moves like somebody else, and only its identity and the geometry asked for are known. Every
answer is then a source itself, driven back by what it came from: the cycle.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch

from mien.data.pairs import PairBatch
from mien.face3d import MotionSpace
from mien.face3d.motion import Q_LIMIT
from mien.inversion import Encoder
from mien.losses.image import pyramid_l1, weighted_l1
from mien.losses.latent import centre_distance, row_spread
from mien.methods import DirectionMatrix
from mien.stylegan2 import Discriminator, Generator
from mien.training.judges import Judges, faces_asked_for, sharpness_loss
from mien.training.photographs import Photographs
from mien.training.schemes import Pairs, wanted_motion

JOINT_WEIGHTS = {
    "pixel": 10.0,
    "perceptual": 5.0,
    "id": 10.0,
    "rows": 0.02,
    "centre": 0.002,
    "shape": 1.0,
    "eye": 1.0,
    "mouth": 1.0,
    "answer_pixel": 1.0,
    "answer_perceptual": 10.0,
    "answer_id": 10.0,
    "cross_id": 10.0,
    "cycle_pixel": 10.0,
    "cycle_perceptual": 5.0,
    "cycle_id": 10.0,
    "sharp": 0.3,
}
"""Of the losses: inversion, code, geometry, pairs, cross-subject, cycle; `sharp` needs a discriminator."""


@dataclass(frozen=True)
class Questions:
    """B questions; the first P have an answer.

    Attributes:
        images, weight: (B, 3, S, S) sources and (B, 1, S, S) their reconstruction weights.
        q_source, q_target: (B, k) coordinates of the sources, and those asked for.
        answer: (P, 3, S, S) frames that show the first P sources as asked.
    """

    images: torch.Tensor
    weight: torch.Tensor
    q_source: torch.Tensor
    q_target: torch.Tensor
    answer: torch.Tensor

    def part(self, share: slice) -> Questions:
        """A share of the pairs and the same share of the others."""
        num_pairs = len(self.answer)
        everything = torch.arange(len(self.images))
        index = torch.cat([everything[:num_pairs][share], everything[num_pairs:][share]])
        sources = (self.images[index], self.weight[index], self.q_source[index], self.q_target[index])
        return Questions(*sources, self.answer[share])

    def to(self, device: torch.device) -> Questions:
        """The same questions on another device."""
        return Questions(*(getattr(self, f.name).to(device) for f in fields(self)))


def draw_questions(
    pairs: Pairs,
    photographs: Photographs | None,
    motion: MotionSpace,
    counts: tuple[int, int],
    single_share: float,
    draws: torch.Generator,
) -> Questions:
    """Questions about frames of scenes, and about photographs of people who are seen once.

    Args:
        pairs: scenes.
        photographs: crops with parameters; None leaves them out.
        motion: the coordinates.
        counts: B, and the number of photographs among those that cross subjects: at most half of B.
        single_share: of the questions that cross subjects, this share moves along one coordinate only.
        draws: everything random.
    """
    total, num_photos = counts
    num_pairs = total // 2

    def scenes(count: int) -> PairBatch:
        return pairs.draw(torch.randint(len(pairs), (count,), generator=draws), draws)

    paired, crossing, drivers = scenes(num_pairs), scenes(total - num_pairs - num_photos), scenes(total - num_pairs)
    images, weight, q = [crossing.target], [crossing.weight], [crossing.q_target]
    if photographs is not None and num_photos:
        photo, photo_weight, params = photographs.draw(num_photos, draws)
        images, weight, q = [*images, photo], [*weight, photo_weight], [*q, motion.encode(params)]
    order = torch.randperm(total - num_pairs, generator=draws)  # so that both kinds move along one coordinate
    q_source = torch.cat(q)[order]
    q_target = wanted_motion(q_source, drivers.q_target.clamp(-Q_LIMIT, Q_LIMIT), single_share, draws)
    return Questions(
        torch.cat([paired.target, torch.cat(images)[order]]),
        torch.cat([paired.weight, torch.cat(weight)[order]]),
        torch.cat([paired.q_target, q_source]),
        torch.cat([paired.q_source, q_target]),
        paired.source,
    )


@dataclass(frozen=True)
class Answers:
    """What the networks made of B questions: pictures (B, 3, S, S), and the encoder's codes (B, L, D) of sources."""

    codes: torch.Tensor
    inversion: torch.Tensor
    moved: torch.Tensor
    cycled: torch.Tensor


@dataclass(frozen=True)
class Reenactment:
    """Encoder and A with the generator that draws what they say.

    Attributes:
        encoder, directions: these train.
        generator: frozen.
        truncation: ψ after the shift.
    """

    encoder: Encoder
    directions: DirectionMatrix
    generator: Generator
    truncation: float = 1.0

    def pose(self, code: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        """The W+ code of a picture from what the encoder says: + A·q for one that leaves the pose to A."""
        return self.directions.shift(code, q) if self.encoder.config.pose_free else code

    def draw(self, wp: torch.Tensor) -> torch.Tensor:
        """Pictures (B, 3, S, S) of W+ codes."""
        return self.generator.synthesis(self.generator.truncate(wp, self.truncation), noise="none").float()

    def answer(self, questions: Questions, with_cycle: bool = True) -> Answers:
        """Invert the sources, move them, and move the results back.

        Args:
            with_cycle: False leaves the last step out; `cycled` is then the inversion.
        """
        change = questions.q_target - questions.q_source
        codes = self.encoder(questions.images).float()
        wp = self.pose(codes, questions.q_source)
        inversion, moved = self.draw(wp), self.draw(self.directions.shift(wp, change))
        if not with_cycle:
            return Answers(codes, inversion, moved, inversion)
        back = self.pose(self.encoder(moved).float(), questions.q_target)
        return Answers(codes, inversion, moved, self.draw(self.directions.shift(back, -change)))


@dataclass(frozen=True)
class Jury:
    """The frozen networks that look at answers; `discriminator` is optional and keeps them sharp."""

    judges: Judges
    motion: MotionSpace
    discriminator: Discriminator | None = None

    def verdict(self, questions: Questions, answers: Answers, w_mean: torch.Tensor) -> dict[str, torch.Tensor]:
        """Means of all losses of `JOINT_WEIGHTS`; `sharp` only with a discriminator."""
        losses = self._redrawn(answers.inversion, questions)
        losses |= {"rows": row_spread(answers.codes).mean(), "centre": centre_distance(answers.codes, w_mean).mean()}
        losses |= self._moved(answers.moved, questions)
        losses |= {f"cycle_{name}": value for name, value in self._redrawn(answers.cycled, questions).items()}
        if self.discriminator is not None:
            drawn = torch.cat([answers.inversion, answers.moved])
            crossing = questions.images[len(questions.answer) :]  # no true answer: compared with the source
            true = torch.cat([questions.images, questions.answer, crossing])
            losses["sharp"] = sharpness_loss(self.discriminator, drawn, true)
        return losses

    def _redrawn(self, result: torch.Tensor, questions: Questions) -> dict[str, torch.Tensor]:
        pixel = pyramid_l1(result, questions.images, questions.weight).mean()
        return {"pixel": pixel} | self.judges.likeness(result, questions.images)

    def _moved(self, moved: torch.Tensor, questions: Questions) -> dict[str, torch.Tensor]:
        wanted = faces_asked_for(self.motion, questions.q_target)
        num_pairs = len(questions.answer)
        paired = self.judges.likeness(moved[:num_pairs], questions.answer)
        paired["pixel"] = weighted_l1(moved[:num_pairs], questions.answer).mean()
        crossing = self.judges.likeness(moved[num_pairs:], questions.images[num_pairs:])
        answered = {f"answer_{name}": value for name, value in paired.items()}
        return self.judges.geometry(moved, wanted) | answered | {"cross_id": crossing["id"]}
