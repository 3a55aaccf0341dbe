"""Config of the proposals of an image: their source, filters and cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from detkit.config import Config
from detkit.proposals.search_config import Mode

if TYPE_CHECKING:
    from detkit.proposals.backends import Backend
    from detkit.proposals.proposer import Proposer


class ProposalsConfig(Config):
    """Source, filters and cache of the proposals of an image."""

    shorthand: ClassVar[str | None] = "mode"

    backend: str = "detkit"
    """``detkit``, ``opencv``, ``selectivesearch``, a name registered by another package, or a Faster R-CNN checkpoint."""
    mode: Mode = "fast"
    """Thoroughness of selective search; ignored by a region proposal network."""
    max_proposals: int | None = Field(None, ge=1)
    """Maximum number of proposals per image; the best are kept. None: all."""
    min_area: float = Field(0.0, ge=0)
    """Proposals with a smaller area, in square pixels of the image, are removed."""
    max_aspect: float = Field(float("inf"), ge=1)
    """Proposals whose longer side exceeds the shorter one by more than this factor are removed."""
    seed: int = 0
    """Random seed of the ranking in selective search."""
    cache: str | None = None
    """Folder in which the proposals of each image are cached. None: no cache."""
    cache_megabytes: float = Field(2000.0, gt=0)
    """Size limit of the cache, in units of 10^6 bytes; the least recently used files are removed first."""

    def build(self, backend: Backend | None = None) -> Proposer:
        """Build the proposer.

        Args:
            backend: Used in place of the named one; ``detkit.inference.proposals.build_proposer`` passes one for a checkpoint.

        Raises:
            ValueError: If the backend does not exist.
            ImportError: If the backend needs a package that is not installed.
        """
        from detkit.proposals.backends import BACKENDS
        from detkit.proposals.cache import ProposalCache
        from detkit.proposals.proposer import Proposer

        if backend is None:
            backend = BACKENDS.get(self.backend)()
        return Proposer(self, backend, None if self.cache is None else ProposalCache(self.cache, self.cache_megabytes))
