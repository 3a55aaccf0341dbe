"""A random choice of anchors or proposals to learn from, the same whichever process or device makes it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from detkit.ops.match import BACKGROUND

Sampler = Callable[[Tensor, int, float, torch.Generator], tuple[Tensor, Tensor]]
"""The signature of :func:`sample`; detectors take another one where the choice has to be theirs (a test, a fixed set)."""


def generator_for(seed: int, salt: int = 0) -> torch.Generator:
    """A CPU generator for one choice about one image; ``salt`` tells several choices about an image apart."""
    mixed = (seed * 0x9E3779B97F4A7C15 + (salt + 1) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    mixed ^= mixed >> 31
    return torch.Generator().manual_seed(mixed & 0x7FFFFFFFFFFFFFFF)


def sample(assignment: Tensor, count: int, positive_fraction: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rows of matched and of background anchors, ascending: ``count`` in all, of which at most a fraction is matched.

    Where there are too few matched ones, background fills the place; the converse does not happen (torchvision's rule).
    """
    positive = (assignment >= 0).nonzero().flatten()
    negative = (assignment == BACKGROUND).nonzero().flatten()
    positive = _choose(positive, int(count * positive_fraction), generator)
    return positive, _choose(negative, count - len(positive), generator)


def _choose(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    if len(rows) <= count:
        return rows
    selection = torch.randperm(len(rows), generator=generator)[:count].sort().values
    return rows[selection.to(rows.device)]
