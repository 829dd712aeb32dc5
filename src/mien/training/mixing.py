"""What a step of StyleMask asks of the mask networks: three faces that need not be a pair, and their mixtures.

The published training mixes samples only. `inverted` lets a share of the faces be pictures with the codes of their
inversion, which is what the networks meet in use.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch

from mien.face3d.motion import Q_LIMIT
from mien.methods import MaskNetworks
from mien.stylegan2 import Styles
from mien.training.schemes import Faces, Material, Task, task_losses

PUBLISHED_WEIGHTS = {"shape": 1.0, "eye": 1.0, "mouth": 1.0, "id": 10.0, "perceptual": 0.0}
MAX_SEED = 2**31 - 1


@dataclass(frozen=True)
class Trio:
    """B sources, targets and third faces, all independent of each other; see `mien.training.schemes.Faces`."""

    source: Faces
    target: Faces
    third: Faces

    def seen(self) -> Trio:
        """The questions whose three faces Net3D sees; all if there is none, since every process must take the step."""
        keep = self.source.valid & self.target.valid & self.third.valid
        if bool(keep.all()) or not bool(keep.any()):
            return self
        return Trio(*(getattr(self, field.name)[keep] for field in fields(self)))


@dataclass(frozen=True)
class Mixture:
    """Styles of B results and the (B, k) coordinates that they should show."""

    styles: Styles
    wanted: torch.Tensor


def draw_trio(material: Material, seeds: torch.Tensor, psi: float, inverted: float = 0.0) -> Trio:
    """Question i depends on seed i alone, so the number of processes does not matter.

    Args:
        material: what faces are made of; it needs portraits and an inverter where `inverted` is not 0.
        seeds: (B,) whole numbers.
        psi: ψ of the samples.
        inverted: probability of a face to be an inverted portrait instead of a sample.
    """
    z, is_inverted, index = (torch.cat(parts) for parts in zip(*(_draws(material, int(s), inverted) for s in seeds)))
    parts, order = [], []
    if not bool(is_inverted.all()):
        parts, order = [material.drawn(z[~is_inverted], psi)], [torch.nonzero(~is_inverted)[:, 0]]
    if bool(is_inverted.any()):
        with torch.no_grad():
            parts.append(material.inverted(index[is_inverted]))
        order.append(torch.nonzero(is_inverted)[:, 0])
    faces = Faces.cat(parts)[torch.cat(order).argsort()]
    return Trio(faces[0::3], faces[1::3], faces[2::3])


def _draws(material: Material, seed: int, inverted: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """For three faces: z, whether a portrait takes its place, and which."""
    draws = torch.Generator().manual_seed(seed)
    z = torch.randn(3, material.generator.config.latent_dim, generator=draws)
    is_inverted = torch.rand(3, generator=draws) < inverted
    count = 1 if material.portraits is None else len(material.portraits)
    return z, is_inverted, torch.randint(count, (3,), generator=draws)


def mixtures(networks: MaskNetworks, material: Material, trio: Trio, cycle: bool = True) -> list[Mixture]:
    """R(s, t); with the recurrent cycle also R(s, c) and R(R(s, t), c), which must look alike (METHODS section 4)."""
    generator = material.generator
    source, target, third = (
        generator.styles(generator.truncate(face.codes, material.truncation))
        for face in (trio.source, trio.target, trio.third)
    )
    once = networks.mix(source, target)
    found = [Mixture(once, trio.target.q)]
    if cycle:
        found += [Mixture(styles, trio.third.q) for styles in (networks.mix(source, third), networks.mix(once, third))]
    return found


def mixture_losses(material: Material, trio: Trio, mixed: Mixture) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Pictures (B, 3, S, S) of a mixture, and its losses: the source's shape and looks, the other face's pose."""
    result = material.generator.synthesis(mixed.styles, noise="none").float()
    source, wanted = trio.source, mixed.wanted.clamp(-Q_LIMIT, Q_LIMIT)
    task = Task(source.images, source.images, source.codes, source.q, wanted)
    return result, task_losses(material.judges, material.motion, task, result)


def total(losses: list[dict[str, torch.Tensor]], weights: dict[str, float]) -> torch.Tensor:
    """The weighted sum over all mixtures; losses of weight 0 are left out."""
    return torch.stack([weights[name] * value for one in losses for name, value in one.items() if weights[name]]).sum()
