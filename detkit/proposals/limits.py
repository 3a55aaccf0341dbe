"""Limits on the shape and the number of proposals, and the one filter that applies them."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class Limits(Protocol):
    """Limits as the configs have them: :class:`detkit.proposals.ProposalsConfig` and :class:`detkit.proposals.SelectiveSearchConfig`."""

    @property
    def max_proposals(self) -> int | None:
        """Maximum number of boxes; None: all."""

    @property
    def min_area(self) -> float:
        """Smallest area, in square pixels."""

    @property
    def max_aspect(self) -> float:
        """Largest ratio of the longer to the shorter side."""


def within_limits(boxes: Tensor, limits: Limits) -> Tensor:
    """Return the indices of the boxes ``(N, 4)``, best first, that are within the limits: the best up to ``max_proposals``.

    Without limits, boxes without area are kept, too.
    """
    width, height = (boxes[:, 2:] - boxes[:, :2]).unbind(1)
    longer, shorter = torch.maximum(width, height), torch.minimum(width, height)
    kept = (width * height >= limits.min_area) & ((longer <= limits.max_aspect * shorter) | (limits.max_aspect == float("inf")))
    return kept.nonzero().flatten()[: limits.max_proposals]
