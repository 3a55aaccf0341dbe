"""Region proposals: selective search and other backends, cached on disk.

The names below are imported on first use: the configs need neither torch nor numba.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from detkit.lazy import lazy_getattr
from detkit.proposals.config import ProposalsConfig
from detkit.proposals.search_config import SelectiveSearchConfig, Strategy

if TYPE_CHECKING:
    from detkit.proposals.backends import BACKENDS, Backend
    from detkit.proposals.cache import ProposalCache
    from detkit.proposals.proposer import ProposalResult, Proposer
    from detkit.proposals.recall import ProposalRecall
    from detkit.proposals.search import selective_search

__all__ = [
    "BACKENDS",
    "Backend",
    "ProposalCache",
    "ProposalRecall",
    "ProposalResult",
    "ProposalsConfig",
    "Proposer",
    "SelectiveSearchConfig",
    "Strategy",
    "selective_search",
]


__getattr__ = lazy_getattr(
    __name__,
    {
        ".backends": ("BACKENDS", "Backend"),
        ".cache": ("ProposalCache",),
        ".proposer": ("ProposalResult", "Proposer"),
        ".recall": ("ProposalRecall",),
        ".search": ("selective_search",),
    },
)
