"""Random sampling of anchors or proposals for training, identical on every process and device."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from detkit.ops.match import BACKGROUND

Sampler = Callable[[Tensor, int, float, torch.Generator], tuple[Tensor, Tensor]]
"""The signature of :func:`sample`; a detector accepts another sampler where the sample must be fixed (in tests, for example)."""


def generator_for(seed: int, salt: int = 0) -> torch.Generator:
    """A CPU generator for one random choice about one image; ``salt`` separates several choices about the same image."""
    mixed = (seed * 0x9E3779B97F4A7C15 + (salt + 1) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    mixed ^= mixed >> 31
    return torch.Generator().manual_seed(mixed & 0x7FFFFFFFFFFFFFFF)


def sample(assignment: Tensor, count: int, positive_fraction: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Sample positive and background rows of an assignment, ascending: ``count`` in total, at most a fraction of them positive.

    If there are too few positives, background rows fill the sample, but not the reverse (torchvision's rule).
    """
    positive = (assignment >= 0).nonzero().flatten()
    negative = (assignment == BACKGROUND).nonzero().flatten()
    positive = _subset(positive, int(count * positive_fraction), generator)
    return positive, _subset(negative, count - len(positive), generator)


def _subset(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    if len(rows) <= count:
        return rows
    indices = torch.randperm(len(rows), generator=generator)[:count].sort().values
    return rows[indices.to(rows.device)]
