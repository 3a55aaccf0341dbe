"""The proposals of any image: made by a backend, remembered on disk, chosen from."""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from detkit.proposals.backends import BACKENDS, Backend
from detkit.proposals.cache import ProposalCache, key_of
from detkit.proposals.config import ProposalsConfig
from detkit.structures import Proposals, Size

Image = NDArray[np.uint8]
Item = TypeVar("Item")

AHEAD = 4
"""Images that wait for each process, so that none is idle and few are in memory."""


@dataclass(frozen=True, eq=False)
class Made:
    """What became of one image.

    Attributes:
        proposals: Empty where there is an error.
        size: ``(height, width)`` of the image.
        seconds: What the search took, or the look into the cache; reading the image is not in it.
        is_remembered: Whether the proposals came from the cache.
        error: Why the image could not be read or searched.
    """

    proposals: Proposals
    size: Size
    seconds: float
    is_remembered: bool
    error: Exception | None = None


class Proposer:
    """Gives the proposals of images as a config says; those of a image that was seen before come from the disk.

    It can be pickled, so that a data loader's workers may hold one; several processes may share a cache folder.

    >>> proposer = ProposalsConfig(mode="fast", max_proposals=2000, cache="runs/proposals").build()
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
            image: The image; it is not written to.
            threads: How many may be used where the backend has use for them; as many as torch has unless given.

        Raises:
            ValueError: the image has another shape or type.
        """
        return wanted(self._found(image, threads)[0], self.config)

    def all(self, items: Iterable[Item], read: Callable[[Item], Image], processes: int = 1) -> Iterator[Proposals]:
        """The proposals of many images, in their order, as they become ready; with a cache folder, this fills it.

        Args:
            items: One for each image: what ``read`` takes, such as a path.
            read: Gives the ``(H, W, 3)`` uint8 RGB image of an item; with several processes it must be a function of a module.
            processes: How many work at once. Others are started afresh, so a script needs ``if __name__ == "__main__"``.

        Raises:
            Exception: whatever the first item raised that failed.
        """
        for made in self.each(items, read, processes):
            if made.error is not None:
                raise made.error
            yield made.proposals

    def each(self, items: Iterable[Item], read: Callable[[Item], Image], processes: int = 1) -> Iterator[Made]:
        """As :meth:`all`, with what each image took; one that cannot be read has its error and does not stop the others."""
        if processes <= 1:
            yield from (self.made(item, read) for item in items)
            return
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            left = iter(items)
            waiting = deque(pool.submit(self.made, item, read) for item in islice(left, AHEAD * processes))
            try:
                while waiting:
                    made = waiting.popleft().result()
                    waiting.extend(pool.submit(self.made, item, read) for item in islice(left, 1))
                    yield made
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def made(self, item: Item, read: Callable[[Item], Image]) -> Made:
        """The proposals of one image, with what they took; an error that a image can cause is in it, not raised."""
        try:
            image = read(item)
            begun = time.perf_counter()
            found, is_remembered = self._found(image, None)
        except (OSError, ValueError) as error:
            return Made(Proposals.empty(), (0, 0), 0.0, False, error)
        return Made(wanted(found, self.config), (image.shape[0], image.shape[1]), time.perf_counter() - begun, is_remembered)

    def _found(self, image: Image, threads: int | None) -> tuple[Proposals, bool]:
        """All proposals, and whether they were remembered."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ValueError(f"proposals: expected a (H, W, 3) uint8 RGB image, got {image.shape} {image.dtype}")
        if self.cache is None:
            return self.backend(image, self.config, threads), False
        key = key_of(image, self.config, self.backend.version)
        found = self.cache.get(key)
        if found is not None:
            return found, True
        found = self.backend(image, self.config, threads)
        self.cache.put(key, found)
        return found, False


def wanted(proposals: Proposals, config: ProposalsConfig) -> Proposals:
    """Those of an area and an aspect that the config wants, and of them the best within its limit."""
    width, height = (proposals.boxes[:, 2:] - proposals.boxes[:, :2]).unbind(1)
    longer, shorter = torch.maximum(width, height), torch.minimum(width, height)
    kept = (width * height >= config.min_area) & ((longer <= config.max_aspect * shorter) | (config.max_aspect == float("inf")))
    return proposals[kept.nonzero().flatten()[: config.max_proposals]]
