"""Proposals of an image: computed by a backend, cached on disk and filtered."""

from __future__ import annotations

import logging
import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

import numpy as np
import torch

from detkit.arrays import ImageArray
from detkit.proposals.backends import Backend, SearchSettings
from detkit.proposals.cache import ProposalCache, cache_key
from detkit.proposals.limits import Limits, within_limits
from detkit.structures import Proposals, Size

_log = logging.getLogger(__name__)

Item = TypeVar("Item")

QUEUED_PER_PROCESS = 4
"""Images queued for each process, which keeps all processes busy and few images in memory."""


@dataclass(frozen=True, eq=False)
class ProposalResult:
    """Proposals of one image, or the error.

    Attributes:
        proposals: The proposals; empty if there was an error.
        size: ``(height, width)`` of the image.
        seconds: Time of the search or of the cache lookup, without reading the image.
        from_cache: Whether the proposals are from the cache.
        error: Error from reading or searching the image, or None.
    """

    proposals: Proposals
    size: Size
    seconds: float
    from_cache: bool
    error: Exception | None = None


class ProposerSettings(SearchSettings, Limits, Protocol):
    """The settings that a proposer reads from its config."""


class Proposer:
    """Computes the proposals of images, or loads them from the cache.

    It is picklable, so that workers of a data loader can use it. Several processes can share a cache folder.

    >>> proposer = ProposalsConfig(mode="fast", max_proposals=2000, cache="runs/proposals").build()
    >>> proposals = proposer(image)                        # (H, W, 3) uint8 RGB
    >>> for proposals in proposer.propose_all(paths, read_image, processes=2): ...   # fills the cache

    Args:
        config: Settings of the search, and limits.
        backend: Computes the proposals.
        cache: Keeps them; None: no cache.
    """

    def __init__(self, config: ProposerSettings, backend: Backend, cache: ProposalCache | None = None) -> None:
        self.config, self.backend, self.cache = config, backend, cache
        self._can_write = True

    def __call__(self, image: ImageArray, threads: int | None = None) -> Proposals:
        """Return the proposals of an image, best first, in its own pixels.

        Args:
            image: ``(H, W, 3)`` uint8 RGB; not modified.
            threads: Maximum number of threads of the backend; by default as many as torch uses.

        Raises:
            ValueError: If the image has another shape or type.
        """
        return self._within_limits(self._propose(image, threads)[0])

    def propose_all(self, items: Iterable[Item], read: Callable[[Item], ImageArray], processes: int = 1) -> Iterator[Proposals]:
        """Yield the proposals of many images in order; with a cache folder, this fills the cache.

        Args:
            items: One item per image: the argument of ``read``, such as a path.
            read: Returns the ``(H, W, 3)`` uint8 RGB image of an item; with several processes it must be a module-level function.
            processes: Number of processes. New ones are spawned, so a script needs ``if __name__ == "__main__"``.

        Raises:
            Exception: The error of the first item that failed.
        """
        for result in self.results(items, read, processes):
            if result.error is not None:
                raise result.error
            yield result.proposals

    def results(self, items: Iterable[Item], read: Callable[[Item], ImageArray], processes: int = 1) -> Iterator[ProposalResult]:
        """Yield a result for each image, as :meth:`propose_all` does; an image that fails yields its error and does not stop."""
        if processes <= 1:
            yield from (self.result(item, read) for item in items)
            return
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            remaining = iter(items)
            queue = deque(pool.submit(self.result, item, read) for item in islice(remaining, QUEUED_PER_PROCESS * processes))
            try:
                while queue:
                    result = queue.popleft().result()
                    queue.extend(pool.submit(self.result, item, read) for item in islice(remaining, 1))
                    yield result
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def result(self, item: Item, read: Callable[[Item], ImageArray]) -> ProposalResult:
        """Return the result of one image; an error caused by the image is stored in it, not raised."""
        try:
            image = read(item)
            start = time.perf_counter()
            proposals, from_cache = self._propose(image, None)
        except (OSError, ValueError) as error:
            return ProposalResult(Proposals.empty(), (0, 0), 0.0, False, error)
        size = (image.shape[0], image.shape[1])
        return ProposalResult(self._within_limits(proposals), size, time.perf_counter() - start, from_cache)

    def _propose(self, image: ImageArray, threads: int | None) -> tuple[Proposals, bool]:
        """Return all proposals, and whether they are from the cache."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ValueError(f"proposals: expected a (H, W, 3) uint8 RGB image, got {image.shape} {image.dtype}")
        if self.cache is None:
            return self.backend(image, self.config, threads), False
        key = cache_key(image, self.config, self.backend.version)
        cached = self.cache.get(key)
        if cached is not None:
            return cached, True
        proposals = self.backend(image, self.config, threads)
        self._store(self.cache, key, proposals)
        return proposals, False

    def _store(self, cache: ProposalCache, key: str, proposals: Proposals) -> None:
        """Cache proposals; a disk that is full costs none that were computed, and is reported once."""
        if self._can_write:
            try:
                cache.put(key, proposals)
            except OSError as error:
                self._can_write = False
                _log.warning("proposal cache: %s; no more proposals are cached", error)

    def _within_limits(self, proposals: Proposals) -> Proposals:
        return proposals[within_limits(proposals.boxes, self.config)]
