"""What trained directions must beat: directions in closed form, and no motion at all.

Each baseline ends as a `DirectionMatrix`, so it runs wherever trained directions do.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from scipy.optimize import linear_sum_assignment

from mien.face3d.motion import Q_LIMIT
from mien.methods.direction import DirectionConfig, DirectionMatrix
from mien.stylegan2 import Generator

Read = Callable[[torch.Tensor], torch.Tensor]
"""Pictures (N, 3, S, S) in [−1, 1] → coordinates (N, k), not a number where no face is seen."""


def directions_of(weight: torch.Tensor) -> DirectionMatrix:
    """A matrix without bias from its columns: (rows, D, k), the shift of every row per unit of every coordinate."""
    rows, dim, coordinates = weight.shape
    matrix = DirectionMatrix(DirectionConfig(coordinates=coordinates, rows=rows, dim=dim)).requires_grad_(False)
    matrix.linear.weight.copy_(weight.flatten(0, 1))
    return matrix


def still_directions(coordinates: int, rows: int, dim: int) -> DirectionMatrix:
    """A = 0: the result is the source, whatever the target."""
    return directions_of(torch.zeros(rows, dim, coordinates))


@torch.no_grad()
def style_factors(generator: Generator, rows: int, count: int) -> torch.Tensor:
    """The directions of W along which styles change most (SeFa, Shen and Zhou 2021).

    They are the eigenvectors of WᵀW with the largest eigenvalues, W being the weights of the affine maps w → s of the
    styled convolutions that read the first `rows` rows, every channel's weights normalised.

    Returns:
        (count, D) unit vectors, strongest first.

    Raises:
        ValueError: more factors than D, or rows that the generator does not have.
    """
    if not 0 < rows <= generator.num_rows or not 0 < count <= generator.config.style_dim:
        raise ValueError(f"no {count} factors of {rows} rows in codes of {generator.num_rows} rows")
    weights = torch.cat([layer.affine.weight for layer in list(generator.convs)[:rows]])
    unit = torch.nn.functional.normalize(weights.double(), dim=1)
    return torch.linalg.eigh(unit.T @ unit).eigenvectors.T.flip(0)[:count].to(weights)


@torch.no_grad()
def factor_slopes(
    generator: Generator, codes: torch.Tensor, factors: torch.Tensor, rows: int, read: Read, step: float
) -> torch.Tensor:
    """How coordinates change along each factor: central differences, mean over codes in which a face is seen.

    Args:
        codes: (N, L, D) where slopes are measured.
        factors: (m, D) directions that shift the first `rows` rows.
        read: measures pictures.
        step: length of the shift, to both sides.

    Returns:
        (m, k) change of every coordinate per unit of shift; zero where no face was seen on both sides.
    """
    slopes = []
    for factor in factors:
        shift = torch.zeros_like(codes[:1])
        shift[:, :rows] = step * factor
        ends = [read(generator.synthesis(codes + sign * shift, noise="none")) for sign in (1, -1)]
        slopes.append(((ends[0] - ends[1]) / (2 * step)).nanmean(0).nan_to_num(0.0))
    return torch.stack(slopes)


def assigned_directions(factors: torch.Tensor, slopes: torch.Tensor, rows: int, longest: float) -> DirectionMatrix:
    """Every coordinate gets a factor of its own, scaled by the slope that was measured.

    The assignment maximises Σ s_ji² / (|s_j|² + mean |s|²): a factor that moves its coordinate, much, and no other.

    Args:
        factors: (m, D) unit vectors, at least as many as coordinates.
        slopes: (m, k) from `factor_slopes`.
        rows: first rows that move, all alike.
        longest: of a column, per unit of q; weaker factors would need longer ones, which leave the space of codes.

    Raises:
        ValueError: fewer factors than coordinates.
    """
    if len(factors) < slopes.shape[1]:
        raise ValueError(f"{len(factors)} factors do not suffice for {slopes.shape[1]} coordinates")
    power = slopes.double().square()
    purity = power / (power.sum(1, keepdim=True) + power.sum(1).mean() + 1e-30)
    chosen, coordinate = linear_sum_assignment(purity.cpu().numpy(), maximize=True)
    weight = torch.zeros(rows, factors.shape[1], slopes.shape[1]).to(factors)
    for row, column in zip(chosen, coordinate, strict=True):
        slope = slopes[row, column]
        length = torch.clamp(1 / slope.abs().clamp_min(1e-12), max=longest) * torch.sign(slope)
        weight[:, :, column] = length * factors[row]
    return directions_of(weight)


def regressed_directions(codes: torch.Tensor, q: torch.Tensor, rows: int, ridge: float = 0.1) -> DirectionMatrix:
    """Ridge regression of W+ codes on their coordinates: A = argmin Σ |w_n − c − A·q_n|² / N + ridge · |A|².

    Args:
        codes: (N, L, D), of which the first `rows` rows are predicted.
        q: (N, k) coordinates read in their pictures; rows with a value that is not a number are left out.
        ridge: in units of q², so to say a variance added to every coordinate.

    Raises:
        ValueError: fewer than two codes with coordinates.
    """
    seen = q.isfinite().all(1)
    if int(seen.sum()) < 2:
        raise ValueError("a regression needs at least two codes in whose pictures a face is seen")
    x, y = q[seen].double(), codes[seen, :rows].double().flatten(1)
    x, y = x - x.mean(0), y - y.mean(0)
    covariance = x.T @ x / len(x) + ridge * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    weight = torch.linalg.solve(covariance, x.T @ y / len(x))
    return directions_of(weight.T.unflatten(0, (rows, -1)).to(codes))


@torch.no_grad()
def half_range(generator: Generator, count: int, draws: torch.Generator) -> float:
    """Longest column per unit of q: half a range then moves a code by the mean distance of codes from w̄."""
    z = torch.randn(count, generator.config.latent_dim, generator=draws).to(generator.w_mean)
    return float((generator.mapping(z) - generator.w_mean).norm(dim=1).mean()) / Q_LIMIT
