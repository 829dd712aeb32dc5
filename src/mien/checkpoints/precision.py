"""Which parts of a bundle may be stored in half precision: those for which the pictures stay the same.

Every part is rounded by itself, and pictures are drawn with and without. It stays in single precision where any pixel
differs by more than one step of 255.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from mien.checkpoints.contents import Bundle
from mien.checkpoints.formats import kind_of
from mien.checkpoints.parts import from_disk, to_disk
from mien.face3d.motion import Q_LIMIT

STEP = 2 / 255
SEED = 0


@torch.no_grad()
def parts_to_keep_exact(bundle: Bundle, progress: Callable[[str], None] | None = None) -> frozenset[str]:
    """Parts that half precision would harm. The embedded tracker is not looked at: it is stored in half anyway.

    Args:
        bundle: on the CPU or not; not changed.
        progress: called with the name of each part before it is looked at.
    """
    exact: set[str] = set()
    wp, other = _codes(bundle)
    reference = bundle.generator.synthesis(wp).clamp(-1, 1)
    for part in ("generator", "encoder", "directions", "masks", "deca"):
        if getattr(bundle, part) is None:
            continue
        if progress is not None:
            progress(part)
        rounded = replace(bundle, **{part: _rounded(part, getattr(bundle, part))})
        if part == "generator":
            before, after = reference, rounded.generator.synthesis(wp)
        else:
            before, after = (_drawn(part, b, (wp, other), reference) for b in (bundle, rounded))
        if before is None or after is None or (before - after.clamp(-1, 1)).abs().amax() > STEP:
            exact.add(part)
    return frozenset(exact)


def _codes(bundle: Bundle) -> tuple[torch.Tensor, torch.Tensor]:
    """Two truncated codes (1, L, D), always the same."""
    generator = bundle.generator
    z = torch.randn(2, generator.config.latent_dim, generator=torch.Generator().manual_seed(SEED))
    w = generator.truncate(generator.mapping(z.to(generator.const.device)), bundle.truncation)
    wp = generator.broadcast(w)
    return wp[:1], wp[1:]


def _drawn(
    part: str, bundle: Bundle, codes: tuple[torch.Tensor, torch.Tensor], picture: torch.Tensor
) -> torch.Tensor | None:
    """A picture that depends on the part, clamped; None where nothing in the bundle shows what the part does."""
    generator, (wp, other) = bundle.generator, codes
    if part == "encoder" and bundle.encoder is not None:
        code = generator.truncate(bundle.encoder(picture), bundle.truncation)
    elif part == "directions" and bundle.directions is not None:
        change = torch.full((1, len(bundle.motion)), Q_LIMIT, device=wp.device)
        change[:, 1::2] *= -1
        code = bundle.directions.shift(wp, change * bundle.truncation)
    elif part == "masks" and bundle.masks is not None:
        code = bundle.masks.mix(generator.styles(wp), generator.styles(other))
    elif part == "deca" and bundle.deca is not None and bundle.directions is not None:
        code = bundle.directions.shift(wp, _measured(bundle, picture) * bundle.truncation)
    else:
        return None
    return generator.synthesis(code).clamp(-1, 1)


def _measured(bundle: Bundle, picture: torch.Tensor) -> torch.Tensor:
    """Coordinates (1, k) that DECA reads off a picture, angles left out: a rounded net must not change them."""
    assert bundle.deca is not None
    side = bundle.deca.config.resolution
    small = torch.nn.functional.interpolate(picture, (side, side), mode="bilinear", antialias=True)
    code = bundle.deca((small + 1) / 2)
    values = torch.cat([torch.rad2deg(code.pose[:, :3]), code.pose[:, 3:4], code.expression], 1)
    return bundle.motion.normalise(values @ bundle.motion.encoding.to(values).T).clamp(-Q_LIMIT, Q_LIMIT)


def _rounded(part: str, network: torch.nn.Module) -> torch.nn.Module:
    form = kind_of(part, network).format
    config, tensors = form.to_state(network)
    device = next(network.parameters()).device
    return form.from_state(config, from_disk(to_disk(tensors))).to(device)
