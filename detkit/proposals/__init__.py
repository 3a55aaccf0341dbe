"""Where an object may be: selective search and other sources of proposals, remembered on disk.

The names below are imported when they are first used: the configs need neither torch nor numba.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from detkit.lazy import lazily
from detkit.proposals.config import ProposalsConfig, SelectiveSearchConfig, Strategy

if TYPE_CHECKING:
    from detkit.proposals.backends import BACKENDS, Backend
    from detkit.proposals.cache import ProposalCache
    from detkit.proposals.proposer import Made, Proposer
    from detkit.proposals.recall import ProposalRecall
    from detkit.proposals.search import selective_search

__all__ = [
    "BACKENDS",
    "Backend",
    "Made",
    "ProposalCache",
    "ProposalRecall",
    "ProposalsConfig",
    "Proposer",
    "SelectiveSearchConfig",
    "Strategy",
    "selective_search",
]


__getattr__ = lazily(
    __name__,
    {
        ".backends": ("BACKENDS", "Backend"),
        ".cache": ("ProposalCache",),
        ".proposer": ("Made", "Proposer"),
        ".recall": ("ProposalRecall",),
        ".search": ("selective_search",),
    },
)
