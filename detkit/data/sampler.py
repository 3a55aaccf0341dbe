"""Assignment of images to batches, a pure function of seed and step, so that training can resume exactly at any step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class SampleKey(NamedTuple):
    """Key of one sample; ``(epoch, record)`` is enough.

    Attributes:
        epoch: Number of the pass over the data, from 0.
        record: Index of the record.
        copy: Number of the image's repetition in this epoch, from 0; it makes their augmentation differ.
    """

    epoch: int
    record: int
    copy: int = 0


class BatchPlan:
    """The endless stream of global batches over a data set.

    An epoch contains every image ``repeats[i]`` times, shuffled by ``(seed, epoch)``; a fractional part is rounded up or down at
    random, differently in each epoch. Epochs follow each other without a gap: a batch on the border takes images from both, so
    no image is skipped or repeated to fill a batch, and a data set may be smaller than a batch.

    With ``groups`` (landscape, portrait) an epoch has this order: first the images that complete the last batch of the previous
    epoch, as shuffled; then batches of a single group, in the order in which they fill; then the remainder of the first group,
    of the second, and so on. So only batches of remainders and the batch on the border are mixed.

    Args:
        count: Number of images.
        batch_size: Images in a global batch, over all processes.
        seed: The run's seed.
        groups: A group number for each image, or None for one group.
        repeats: Average number of times each image occurs in an epoch, or None for once; 0 skips it.

    Raises:
        ValueError: If there are no images, or if a length or a number is invalid.
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        seed: int = 0,
        *,
        groups: NDArray[np.int64] | None = None,
        repeats: NDArray[np.float64] | None = None,
    ) -> None:
        if count < 1:
            raise ValueError("sampler: expected at least one image, got none; is the data set, or this split of it, empty?")
        if batch_size < 1:
            raise ValueError(f"sampler: batch_size: expected at least 1, got {batch_size}")
        for name, values in (("groups", groups), ("repeats", repeats)):
            if values is not None and len(values) != count:
                raise ValueError(f"sampler: {name}: expected {count} numbers, one per image, got {len(values)}")
        if repeats is not None and not (np.isfinite(repeats).all() and repeats.min() >= 0 and repeats.max() >= 1):
            raise ValueError("sampler: repeats: expected finite numbers, none negative and at least one of 1 or more")
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self._groups, self._repeats = groups, repeats
        self._offsets = [0]
        self._orders: dict[int, NDArray[np.int64]] = {}

    @property
    def steps_per_epoch(self) -> int:
        """Average number of batches in an epoch, rounded up; at least 1."""
        length = self.count if self._repeats is None else float(self._repeats.sum())
        return max(1, int(np.ceil(length / self.batch_size)))

    def epoch_of(self, step: int) -> int:
        """Return the epoch of a batch's first image."""
        return self._epoch_at(step * self.batch_size)

    def batch(self, step: int) -> list[SampleKey]:
        """Return the global batch of a step, always ``batch_size`` samples."""
        position = step * self.batch_size
        keys: list[SampleKey] = []
        while len(keys) < self.batch_size:
            epoch = self._epoch_at(position)
            first = position - self._offset(epoch)
            rows = self._order(epoch)[first : first + self.batch_size - len(keys)]
            keys += [SampleKey(epoch, int(index), int(copy)) for index, copy in rows]
            position += len(rows)
        return keys

    def _epoch_at(self, position: int) -> int:
        if self._repeats is None:
            return position // self.count
        while self._offsets[-1] <= position:
            self._offset(len(self._offsets))
        return int(np.searchsorted(self._offsets, position, side="right")) - 1

    def _offset(self, epoch: int) -> int:
        """Return the number of samples before an epoch."""
        if self._repeats is None:
            return epoch * self.count
        while len(self._offsets) <= epoch:
            self._offsets.append(self._offsets[-1] + int(self._copies(len(self._offsets) - 1).sum()))
        return self._offsets[epoch]

    def _copies(self, epoch: int) -> NDArray[np.int64]:
        """Return how often each image occurs in this epoch: the repeat factors, rounded at random."""
        if self._repeats is None:
            return np.ones(self.count, np.int64)
        whole = np.floor(self._repeats)
        rounded_up = self._random(epoch, 1).random(self.count) < self._repeats - whole
        return (whole + rounded_up).astype(np.int64)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """Return image and copy of every sample of an epoch in stream order, shape ``(length, 2)``."""
        if epoch not in self._orders:
            copies = self._copies(epoch)
            indices = np.repeat(np.arange(self.count), copies)
            firsts = np.repeat(np.cumsum(copies) - copies, copies)
            rows = np.stack([indices, np.arange(len(indices)) - firsts], axis=1)
            rows = rows[self._random(epoch, 0).permutation(len(rows))]
            kept = {known: order for known, order in self._orders.items() if abs(known - epoch) <= 1}
            self._orders = {**kept, epoch: self._grouped(rows, -self._offset(epoch) % self.batch_size)}
        return self._orders[epoch]

    def _grouped(self, rows: NDArray[np.int64], head: int) -> NDArray[np.int64]:
        if self._groups is None or len(rows) <= head:
            return rows
        groups = self._groups[rows[:, 0]]
        members = [np.flatnonzero(groups[head:] == group) + head for group in np.unique(groups)]
        full = [indices[: len(indices) // self.batch_size * self.batch_size] for indices in members]
        batches = np.concatenate(full).reshape(-1, self.batch_size)
        batches = batches[np.argsort(batches[:, -1])]
        rest = [indices[len(indices) // self.batch_size * self.batch_size :] for indices in members]
        return np.asarray(rows[np.concatenate([np.arange(head), batches.reshape(-1), *rest])])

    def _random(self, epoch: int, salt: int) -> np.random.Generator:
        return np.random.default_rng((abs(self.seed), int(self.seed < 0), epoch, salt))


@dataclass(frozen=True, eq=False)
class RankBatches:
    """One process's part of a plan's batches, as a batch sampler for ``torch.utils.data.DataLoader``.

    Rank ``r`` of ``world`` takes samples ``r::world`` of each global batch, so two processes with one image each process the same
    images as one process with two. With ``uneven``, their numbers of images may differ by one.

    Attributes:
        plan: The global batches.
        start_step: The first step.
        stop_step: The step to stop before, or None for an endless stream.
        rank: Rank of this process.
        world: Number of processes; it must divide the batch size, or with ``uneven`` must not exceed it.
        uneven: Whether processes may have different numbers of images, as after a change of the number of processes.
    """

    plan: BatchPlan
    start_step: int = 0
    stop_step: int | None = None
    rank: int = 0
    world: int = 1
    uneven: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world:
            raise ValueError(f"sampler: rank: expected 0 to {self.world - 1}, got {self.rank}")
        if self.uneven and self.plan.batch_size < self.world:
            raise ValueError(
                f"sampler: a global batch of {self.plan.batch_size} images leaves none for some of {self.world} processes; "
                f"start at most {self.plan.batch_size} processes"
            )
        if self.plan.batch_size % self.world and not self.uneven:
            raise ValueError(
                f"sampler: a global batch of {self.plan.batch_size} images cannot be shared equally by {self.world} processes; "
                f"set loader.batch_size to a multiple of {self.world}"
            )
        if self.start_step < 0 or (self.stop_step is not None and self.stop_step < self.start_step):
            raise ValueError(f"sampler: expected 0 <= start_step <= stop_step, got {self.start_step} and {self.stop_step}")

    def __iter__(self) -> Iterator[list[SampleKey]]:
        step = self.start_step
        while self.stop_step is None or step < self.stop_step:
            yield self.plan.batch(step)[self.rank :: self.world]
            step += 1

    def __len__(self) -> int:
        if self.stop_step is None:
            raise TypeError("an endless stream of batches has no length; give stop_step")
        return self.stop_step - self.start_step


def aspect_groups(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 1 for each portrait size of ``(M, 2)`` ``height width``, else 0; separate batches need less padding."""
    return (sizes[:, 0] > sizes[:, 1]).astype(np.int64)


def repeat_factors(labels: NDArray[np.int64], image_index: NDArray[np.int64], count: int, threshold: float) -> NDArray[np.float64]:
    """Return how often each image should occur in an epoch to oversample rare classes: LVIS (arXiv:1908.03195, section 5.1).

    With ``f(c)`` the fraction of images that contain class ``c``, a class is repeated ``max(1, sqrt(threshold / f(c)))`` times,
    and an image as often as its rarest class; an image without objects occurs once.

    Args:
        labels: ``(N,)`` class of each object.
        image_index: ``(N,)`` image of each object, 0 to ``count - 1``.
        count: Number of images.
        threshold: Classes on less than this fraction of the images are repeated.
    """
    factors = np.ones(count)
    if len(labels):
        pairs = np.unique(np.stack([image_index, labels], axis=1), axis=0)
        fractions = np.bincount(pairs[:, 1]) / count
        np.maximum.at(factors, pairs[:, 0], np.sqrt(threshold / fractions[pairs[:, 1]]))
    return factors
