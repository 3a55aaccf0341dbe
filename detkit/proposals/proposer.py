"""The proposals of any picture: made by a backend, remembered on disk, chosen from."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from detkit.proposals.backends import BACKENDS, Backend
from detkit.proposals.cache import ProposalCache, key_of
from detkit.proposals.config import ProposalsConfig
from detkit.structures import Proposals

Image = NDArray[np.uint8]
Item = TypeVar("Item")

AHEAD = 4
"""Pictures that wait for each process, so that none is idle and few are in memory."""


class Proposer:
    """Gives the proposals of pictures as a config says; those of a picture that was seen before come from the disk.

    It can be pickled, so that a data loader's workers may hold one; several processes may share a cache folder.

    >>> proposer = ProposalsConfig(mode="fast", limit=2000, cache="runs/proposals").build()
    >>> proposals = proposer(image)                        # (H, W, 3) uint8 RGB
    >>> for proposals in proposer.all(paths, read_image, processes=2): ...   # fills the cache

    Args:
        config: The backend, what is kept, and where it is remembered.
        backend: Taken in place of the one that the config names.

    Raises:
        ValueError: there is no such backend.
        ImportError: the backend needs a package that is not here.
    """

    def __init__(self, config: ProposalsConfig, backend: Backend | None = None) -> None:
        self.config = config
        self.backend: Backend = BACKENDS.get(config.backend)() if backend is None else backend
        self.cache = None if config.cache is None else ProposalCache(config.cache, config.cache_megabytes)

    def __call__(self, image: Image, threads: int | None = None) -> Proposals:
        """The proposals of a ``(H, W, 3)`` uint8 RGB image, best first, in its own pixels.

        Args:
            image: The picture; it is not written to.
            threads: How many may be used where the backend has use for them; as many as torch has unless given.

        Raises:
            ValueError: the image has another shape or type.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ValueError(f"proposals: expected a (H, W, 3) uint8 RGB image, got {image.shape} {image.dtype}")
        if self.cache is None:
            return wanted(self.backend(image, self.config, threads), self.config)
        key = key_of(image, self.config, self.backend.version)
        found = self.cache.get(key)
        if found is None:
            found = self.backend(image, self.config, threads)
            self.cache.put(key, found)
        return wanted(found, self.config)

    def all(self, items: Iterable[Item], read: Callable[[Item], Image], processes: int = 1) -> Iterator[Proposals]:
        """The proposals of many pictures, in their order, as they become ready; with a cache folder, this fills it.

        Args:
            items: One for each picture: what ``read`` takes, such as a path.
            read: Gives the ``(H, W, 3)`` uint8 RGB image of an item; with several processes it must be a function of a module.
            processes: How many work at once. Others are started afresh, so a script needs ``if __name__ == "__main__"``.
        """
        if processes <= 1:
            yield from (self(read(item)) for item in items)
            return
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            left = iter(items)
            waiting = [pool.submit(_one, self, read, item) for item in islice(left, AHEAD * processes)]
            try:
                yield from self._in_turn(pool, read, left, waiting)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _in_turn(
        self, pool: ProcessPoolExecutor, read: Callable[[Item], Image], left: Iterator[Item], waiting: list[Future[Proposals]]
    ) -> Iterator[Proposals]:
        while waiting:
            found = waiting.pop(0).result()
            waiting += [pool.submit(_one, self, read, item) for item in islice(left, 1)]
            yield found


def _one(proposer: Proposer, read: Callable[[Item], Image], item: Item) -> Proposals:
    return proposer(read(item))


def wanted(proposals: Proposals, config: ProposalsConfig) -> Proposals:
    """Those of an area and an aspect that the config wants, and of them the best within its limit."""
    width, height = (proposals.boxes[:, 2:] - proposals.boxes[:, :2]).unbind(1)
    longer, shorter = torch.maximum(width, height), torch.minimum(width, height)
    kept = (width * height >= config.min_area) & ((longer <= config.max_aspect * shorter) | (config.max_aspect == float("inf")))
    return proposals[kept.nonzero().flatten()[: config.limit]]
