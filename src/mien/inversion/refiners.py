"""Refiners made from other refiners: ones that may do more, and at first answer as those they come from."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import nn

from mien.inversion.feature import SHUT, FeatureRefiner


def filling(refiner: FeatureRefiner) -> FeatureRefiner:
    """A refiner that may learn to fill, with the weights of one that does not; until then it answers as that one."""
    other = FeatureRefiner(replace(refiner.config, fills=True))
    state, stored = other.state_dict(), refiner.state_dict()
    for name, value in stored.items():
        state[name] = torch.cat([value, state[name][len(value) :]]) if value.shape != state[name].shape else value
    other.load_state_dict(state)
    return other.to(next(refiner.parameters()).device)


def following(refiner: FeatureRefiner, tracing: int, openness: float = SHUT) -> FeatureRefiner:
    """A refiner that may trace its flow and blend, with the weights of one that does neither.

    With the flow of that one, and as good as shut, it answers as that one at first.

    Args:
        refiner: the one that does not.
        tracing: see `FeatureConfig`.
        openness: β, the logit of what is blended of a face that hardly moves.
    """
    other = FeatureRefiner(replace(refiner.config, tracing=tracing, blends=True))
    state, fields = refiner.state_dict(), refiner.transformer.write.weight
    place = 2 + refiner.transformer.num_factors
    state["transformer.write.weight"] = torch.cat([fields[:place], torch.zeros_like(fields[:1]), fields[place:]])
    other.load_state_dict(other.state_dict() | state)
    assert other.transformer.openness is not None
    nn.init.constant_(other.transformer.openness, openness)
    return other.to(next(refiner.parameters()).device)


def seeing_finer(refiner: FeatureRefiner, fine: int | None = None) -> FeatureRefiner:
    """A refiner that compares pictures of twice the side and at first answers as the given one does to halved ones.

    Args:
        refiner: the one that sees less.
        fine: width of the generator's map of twice the side, which is refined from now on, too; None: as before.
    """
    before = refiner.config
    wider = replace(before, picture=2 * before.picture, fold=2 * (before.fold or 1), fine=fine or before.fine)
    finer = FeatureRefiner(wider)
    state, (read, wide) = refiner.state_dict(), (refiner.encoder.read, finer.encoder.read)
    side = before.fold or 1
    squares = read.weight.detach().unflatten(1, (6, side, side))
    squares = squares.repeat_interleave(2, 2).repeat_interleave(2, 3).flatten(1, 3)
    state["encoder.read.weight"] = squares * read.scale / (4 * wide.scale)  # the mean of four pixels
    fields, known = state["transformer.write.weight"], refiner.transformer.num_factors
    new = fields.new_zeros(finer.transformer.num_factors - known, *fields.shape[1:])
    state["transformer.write.weight"] = torch.cat([fields[: 2 + known], new, fields[2 + known :]])
    finer.load_state_dict(finer.state_dict() | state)
    return finer.to(next(refiner.parameters()).device)


def copying(refiner: FeatureRefiner) -> FeatureRefiner:
    """The same refiner, but Δf stays where the source's head was."""
    other = FeatureRefiner(replace(refiner.config, copies=True))
    other.load_state_dict(copy.deepcopy(refiner.state_dict()))
    return other.requires_grad_(False).eval().to(next(refiner.parameters()).device)
