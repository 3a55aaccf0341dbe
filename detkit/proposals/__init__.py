"""Where an object may be, found without learning: selective search."""

from detkit.proposals.config import SelectiveSearchConfig, Strategy
from detkit.proposals.selective_search import selective_search

__all__ = ["SelectiveSearchConfig", "Strategy", "selective_search"]
