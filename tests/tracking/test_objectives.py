"""What the tracker descends on."""

from dataclasses import replace

import pytest
import torch

from mien.tracking.objectives import twin_losses
from mien.tracking.regressor import FaceReading
from mien.tracking.samples import CropBatch


def _batch(angles: torch.Tensor, expression: torch.Tensor) -> CropBatch:
    count = len(angles)
    return CropBatch(
        crops=torch.zeros(count, 4, 4, 3, dtype=torch.uint8),
        landmarks=torch.zeros(count, 68, 2),
        angles=angles,
        expression=expression,
        trust=torch.ones(count, 3),
        known=torch.ones(count, 51),
        presence=torch.ones(count),
    )


def _reading(angles: torch.Tensor, expression: torch.Tensor) -> FaceReading:
    return FaceReading(torch.zeros(len(angles), 68, 2), angles, torch.logit(expression, 1e-6), torch.zeros(len(angles)))


def test_twins_judge_changes_and_not_levels():
    angles, expression = torch.rand(6, 3), 0.2 + 0.4 * torch.rand(6, 51)
    batch = _batch(angles, expression)
    shifted = twin_losses(_reading(angles + 0.3, expression), batch)
    assert max(float(v) for v in shifted.values()) < 1e-4
    still = twin_losses(_reading(angles[::2].repeat_interleave(2, 0), expression[::2].repeat_interleave(2, 0)), batch)
    expected = (angles[1::2] - angles[::2]).abs().sum(1).mean()
    assert float(still["twin_angles"]) == pytest.approx(24.0 * float(expected), rel=1e-4)
    assert float(still["twin_expression"]) > 0.1


def test_twins_count_only_what_both_know():
    angles, expression = torch.zeros(4, 3), torch.rand(4, 51)
    batch = _batch(angles, expression)
    batch.known[0::2], batch.known[3] = 0.0, 0.0
    reading = _reading(angles, torch.full_like(expression, 0.5))
    assert float(twin_losses(reading, batch)["twin_expression"]) == 0.0
    known = torch.tensor([0.0, 0.0, 1.0, 0.5])[:, None].expand(4, 51)
    alike = replace(batch, expression=expression[2:].repeat(2, 1))
    half, whole = (
        float(twin_losses(reading, replace(alike, known=k))["twin_expression"]) for k in (known, torch.ones(4, 51))
    )
    assert whole > 0 and half == pytest.approx(0.25 * whole, rel=1e-5)
