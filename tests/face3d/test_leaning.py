"""Leaning beyond what was seen is taken out of the coordinates and given back by turning the picture."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mien.face3d.leaning import give_lean, take_lean
from mien.face3d.motion import arkit_motion_space, deca_motion_space
from mien.face3d.ranges import published_ranges
from mien.geometry import lean_of, rotation_from_angles, turned_angles
from mien.pipelines.driving import within_range

MOTION = replace(arkit_motion_space(), lean_deg=12.0)


def _faces(*angles_deg: tuple[float, float, float]) -> torch.Tensor:
    values = torch.full((len(angles_deg), len(MOTION)), 0.3)
    values[:, :3] = torch.tensor(angles_deg)
    return MOTION.normalise(values)


def _angles(q: torch.Tensor) -> torch.Tensor:
    return torch.deg2rad(MOTION.denormalise(q)[:, :3])


def test_an_upright_head_is_left_alone_to_the_last_bit():
    q = _faces((30, -10, 5), (0, 0, 11.9), (-45, 20, 0))
    rest, turn = take_lean(MOTION, q)
    assert torch.equal(rest, q) and torch.equal(turn, torch.zeros(3))


def test_without_a_limit_nothing_is_taken():
    q = _faces((0, 0, 80))
    rest, turn = take_lean(arkit_motion_space(), q)
    assert torch.equal(rest, q) and float(turn) == 0
    rollless = deca_motion_space(published_ranges("voxceleb"), roll=False)
    beyond = torch.full((2, len(rollless)), 7.0)
    assert torch.equal(take_lean(rollless, beyond)[0], beyond), "a space need not even have a roll"
    assert torch.equal(within_range(rollless, beyond * 0, beyond), beyond * 6 / 7)


def test_what_is_taken_and_turned_makes_the_same_head():
    """Rotations agree, not only angles near zero: heads that turn, nod and lean at once."""
    q = _faces((0, 0, 16), (-33, -13, -48), (40, 20, 35), (70, -30, 60))
    rest, turn = take_lean(MOTION, q)
    assert torch.rad2deg(turn)[0] == pytest.approx(8, abs=1e-3) and (turn[[0, 2, 3]] > 0).all() and turn[1] < 0
    torch.testing.assert_close(
        rotation_from_angles(turned_angles(_angles(rest), turn)), rotation_from_angles(_angles(q)), rtol=0, atol=1e-5
    )
    drawn = torch.rad2deg(lean_of(_angles(rest)))
    torch.testing.assert_close(drawn, torch.tensor([8.0, 0.0, 0.0, 0.0]), rtol=0, atol=1e-4)
    torch.testing.assert_close(rest[:, 3:], q[:, 3:], rtol=0, atol=0)
    torch.testing.assert_close(give_lean(MOTION, rest, turn), q, rtol=0, atol=1e-4)


def test_the_drawn_lean_falls_back_without_a_jump():
    """All of it up to the limit, none from twice that on, and nowhere a step that frames of a video would show."""
    lean = torch.arange(-40.0, 40.01, 0.25)
    rest, turn = take_lean(MOTION, _faces(*((0.0, 0.0, float(roll)) for roll in lean)))
    drawn = torch.rad2deg(lean_of(_angles(rest)))
    torch.testing.assert_close(drawn + torch.rad2deg(turn), lean, rtol=0, atol=1e-3)
    assert drawn.diff().abs().max() < 0.251 and drawn.abs().max() == pytest.approx(12, abs=1e-3)
    assert drawn[lean.abs() >= 24].abs().max() < 1e-3
    torch.testing.assert_close(drawn, -drawn.flip(0), rtol=0, atol=1e-4)
