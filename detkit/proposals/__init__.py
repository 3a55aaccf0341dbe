"""Where an object may be: selective search and other sources of proposals, remembered on disk.

The names below are imported when they are first used: the configs need neither torch nor numba.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from detkit.proposals.config import ProposalsConfig, SelectiveSearchConfig, Strategy

if TYPE_CHECKING:
    from detkit.proposals.backends import BACKENDS, Backend
    from detkit.proposals.cache import ProposalCache
    from detkit.proposals.proposer import Made, Proposer
    from detkit.proposals.recall import ProposalRecall

    # mypy takes a function that is named after its module for the module.
    from detkit.proposals.selective_search import selective_search  # type: ignore[no-redef]

_HOMES = {
    "BACKENDS": "detkit.proposals.backends",
    "Backend": "detkit.proposals.backends",
    "Made": "detkit.proposals.proposer",
    "ProposalCache": "detkit.proposals.cache",
    "ProposalRecall": "detkit.proposals.recall",
    "Proposer": "detkit.proposals.proposer",
    "selective_search": "detkit.proposals.selective_search",
}

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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'detkit.proposals' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
