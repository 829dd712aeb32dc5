"""What the four schemes of Directions ask of A in a step: sources with their codes, and targets (METHODS section 2).

`synthetic`: samples move to other samples. `real`: inverted photographs move to samples. `mixed`: half of each.
`paired`: a frame moves to another frame of its scene, which is then the true answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal, Protocol

import torch

from mien.data.pairs import PairBatch
from mien.face3d import MotionSpace
from mien.face3d.motion import Q_LIMIT
from mien.inversion import Encoder
from mien.losses.image import weighted_l1
from mien.methods import DirectionMatrix
from mien.stylegan2 import Generator
from mien.training.judges import Judges, faces_asked_for

Scheme = Literal["synthetic", "real", "mixed", "paired"]
PUBLISHED_WEIGHTS = {"shape": 1.0, "eye": 1.0, "mouth": 1.0, "id": 10.0, "perceptual": 10.0, "pixel": 1.0}
"""Of the losses, in every scheme; `pixel` is the L1 to the target frame, which only pairs have."""


class Pictures(Protocol):
    """Head crops that can be read by number (`mien.training.portraits.Portraits` is one)."""

    def __len__(self) -> int: ...
    def pictures(self, index: torch.Tensor) -> torch.Tensor: ...


class Pairs(Protocol):
    """Scenes of which two frames can be drawn (`mien.data.pairs.FramePairs` is one)."""

    def __len__(self) -> int: ...
    def draw(self, scenes: torch.Tensor, generator: torch.Generator) -> PairBatch: ...


@dataclass(frozen=True)
class Faces:
    """B faces: pictures (B, 3, S, S), W+ codes (B, L, D), coordinates q (B, k); `valid` (B,) where Net3D sees one."""

    images: torch.Tensor
    codes: torch.Tensor
    q: torch.Tensor
    valid: torch.Tensor

    def __getitem__(self, part: slice | torch.Tensor) -> Faces:
        return Faces(*(getattr(self, f.name)[part] for f in fields(self)))

    @staticmethod
    def cat(parts: Sequence[Faces]) -> Faces:
        """Join along the batch dimension."""
        return Faces(*(torch.cat([getattr(part, f.name) for part in parts]) for f in fields(Faces)))


@dataclass(frozen=True)
class Task:
    """B questions to A.

    Attributes:
        source: (B, 3, S, S) pictures.
        target: (B, 3, S, S) pictures from which the target coordinates come.
        code: (B, L, D) codes of the sources.
        q_source: (B, k) coordinates of the sources.
        q_target: (B, k) coordinates asked for.
        is_paired: the targets show the sources' scenes, so they are the true answers.
    """

    source: torch.Tensor
    target: torch.Tensor
    code: torch.Tensor
    q_source: torch.Tensor
    q_target: torch.Tensor
    is_paired: bool = False

    @property
    def likeness(self) -> torch.Tensor:
        """(B, 3, S, S) what results must look like: the true answers where there are any, else the sources."""
        return self.target if self.is_paired else self.source

    def where(self, keep: torch.Tensor) -> Task:
        """The questions marked in (B,) bool; all of them if none is, since every process must take the step."""
        if bool(keep.all()) or not bool(keep.any()):
            return self
        names = ("source", "target", "code", "q_source", "q_target")
        return replace(self, **{name: getattr(self, name)[keep] for name in names})


@dataclass(frozen=True)
class Inverter:
    """Codes of real pictures: E(I), or E(I) + A·q for an encoder that leaves the pose to A.

    Attributes:
        encoder: frozen.
        directions: the A of that sum; None takes the one that trains, as a bundle made of the two will.
    """

    encoder: Encoder
    directions: DirectionMatrix | None = None

    def codes(self, images: torch.Tensor, q: torch.Tensor, training: DirectionMatrix | None) -> torch.Tensor:
        """(B, 3, S, S) pictures of coordinates (B, k) → (B, L, D); differentiable in the A that trains, if one does."""
        with torch.no_grad():
            codes = self.encoder(images).float()
        if not self.encoder.config.pose_free:
            return codes
        matrix = training if self.directions is None else self.directions
        assert matrix is not None
        return matrix.shift(codes, q)


@dataclass(frozen=True, kw_only=True)
class Material:
    """What questions are made of; everything in it is frozen.

    Attributes:
        generator: draws samples.
        judges: read coordinates off pictures.
        motion: the coordinates.
        truncation: ψ applied after the shift, so to the pictures of samples as well.
        sample_psi: ψ at which samples are drawn, in turn from step to step.
        single_share: of a batch that moves along one coordinate only; not in the paired scheme.
        inverter, portraits: for `real` and `mixed`; the inverter also for `paired`.
        pairs: for `paired`.
    """

    generator: Generator
    judges: Judges
    motion: MotionSpace
    truncation: float = 1.0
    sample_psi: tuple[float, ...] = (1.0,)
    single_share: float = 0.5
    inverter: Inverter | None = None
    portraits: Pictures | None = None
    pairs: Pairs | None = None

    def samples(self, count: int, psi: float, draws: torch.Generator) -> Faces:
        """Samples of the generator, drawn at ψ."""
        return self.drawn(torch.randn(count, self.generator.config.latent_dim, generator=draws), psi)

    @torch.no_grad()
    def drawn(self, z: torch.Tensor, psi: float) -> Faces:
        """The samples of z (B, latent_dim) at ψ."""
        generator = self.generator
        z = z.to(generator.w_mean)
        codes = generator.broadcast(generator.truncate(generator.mapping(z), psi))
        images = generator.synthesis(generator.truncate(codes, self.truncation), noise="none").float()
        return Faces(images, codes.float(), *self._read(images))

    def real(self, count: int, matrix: DirectionMatrix, draws: torch.Generator) -> Faces:
        """Random portraits with the codes of their inversion."""
        assert self.portraits is not None
        return self.inverted(torch.randint(len(self.portraits), (count,), generator=draws), matrix)

    def inverted(self, index: torch.Tensor, matrix: DirectionMatrix | None = None) -> Faces:
        """Portraits by number (B,) with the codes of their inversion; without the A that trains where none does."""
        assert self.portraits is not None and self.inverter is not None
        images = self.portraits.pictures(index).to(self.generator.w_mean)
        q, valid = self._read(images)
        return Faces(images, self.inverter.codes(images, q, matrix), q, valid)

    @torch.no_grad()
    def _read(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.autocast(images.device.type, enabled=False):
            params = self.judges.read(images)
            return self.motion.encode(params), params.valid


def draw_task(
    scheme: Scheme, material: Material, matrix: DirectionMatrix, count: int, step: int, draws: torch.Generator
) -> Task:
    """The questions of a step; those whose source or target shows Net3D no face are left out.

    Args:
        scheme: which kind.
        material: what they are made of.
        matrix: the A that trains.
        count: B, of the whole batch.
        step: chooses ψ of the samples.
        draws: everything random.
    """
    if scheme == "paired":
        return paired_task(material, matrix, count, draws)
    psi = material.sample_psi[step % len(material.sample_psi)]
    num_real = {"synthetic": 0, "mixed": count // 2, "real": count}[scheme]
    parts = [material.samples(2 * count - num_real, psi, draws)]
    if num_real:
        parts = [material.real(num_real, matrix, draws), *parts]
    faces = Faces.cat(parts)
    source = faces[:count][torch.randperm(count, generator=draws)]  # so that both kinds move along one coordinate
    target = faces[count:]
    asked = target.q.clamp(-Q_LIMIT, Q_LIMIT)
    q_target = wanted_motion(source.q, asked, material.single_share, draws)
    task = Task(source.images, target.images, source.codes, source.q, q_target)
    return task.where(source.valid & target.valid)


def paired_task(material: Material, matrix: DirectionMatrix, count: int, draws: torch.Generator) -> Task:
    """Frames and other frames of the same scenes; their coordinates are those of their labels."""
    assert material.pairs is not None and material.inverter is not None
    scenes = torch.randint(len(material.pairs), (count,), generator=draws)
    batch = material.pairs.draw(scenes, draws).to(material.generator.w_mean.device)
    codes = material.inverter.codes(batch.source, batch.q_source, matrix)
    return Task(batch.source, batch.target, codes, batch.q_source, batch.q_target, is_paired=True)


def wanted_motion(q_source: torch.Tensor, q_target: torch.Tensor, share: float, draws: torch.Generator) -> torch.Tensor:
    """q of the target, except that a share of the batch keeps the source's q but for one random coordinate."""
    count, k = q_source.shape
    chosen = torch.randint(k, (count,), generator=draws)
    value = (torch.rand(count, generator=draws) * 2 - 1) * Q_LIMIT
    single = q_source.clone()
    single[torch.arange(count), chosen.to(single.device)] = value.to(single)
    is_single = torch.arange(count) < round(share * count)
    return torch.where(is_single[:, None].to(q_source.device), single, q_target)


def task_losses(judges: Judges, motion: MotionSpace, task: Task, result: torch.Tensor) -> dict[str, torch.Tensor]:
    """Means of L_sh, L_eye, L_mouth, L_id and L_per of results (B, 3, S, S), and of L1 where the answer is known."""
    losses = judges.geometry(result, faces_asked_for(motion, task.q_target)) | judges.likeness(result, task.likeness)
    if task.is_paired:
        losses["pixel"] = weighted_l1(result, task.target).mean()
    return losses
