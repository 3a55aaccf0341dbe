"""Training batches, prepared ahead of time in worker processes."""

from __future__ import annotations

import errno
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch.utils.data import DataLoader

from detkit.arrays import Flags
from detkit.config import Config
from detkit.data.augment import Augmenter
from detkit.data.batches import PackedBatch, SampleBatch
from detkit.data.cache import ImageCache
from detkit.data.dataset import DetectionDataset, ProposalSource, Sample, SampleError, image_seed
from detkit.data.loader_errors import LoaderError, WaitInterrupted, explain_worker_errors, killed_worker, too_little_memory
from detkit.data.records import DetectionData, Records
from detkit.data.sampler import BatchPlan, RankBatches, SampleKey, aspect_groups, repeat_factors
from detkit.data.tiles import TileSampler

__all__ = ["DetectionDataset", "Loader", "LoaderConfig", "Sample", "SampleBatch", "SampleError", "batch_plan", "build_loader", "image_seed"]


class LoaderConfig(Config):
    """Batching and loading of training images."""

    batch_size: Annotated[int, Field(ge=1)] | Literal["auto"] = 4
    """Images per batch, over all processes; ``auto``: the largest power of two that fits the GPU's memory (on a CPU, 8)."""
    workers: int = Field(2, ge=0)
    """Worker processes per training process that read and augment; 0: load in the training process. The samples are the same."""
    prefetch: int = Field(2, ge=1)
    """Batches that each worker prepares ahead of time."""
    aspect_grouping: bool = True
    """Put landscape and portrait images in separate batches, which need less padding."""
    repeat_threshold: float = Field(0.0, ge=0, le=1)
    """Repeat images of classes that are on less than this fraction of the images (LVIS's repeat factors; they use .001); 0: never."""
    skip_empty: bool = False
    """Skip images without objects, as torchvision's and detectron2's COCO recipes do."""
    cache_megabytes: float = Field(0.0, ge=0)
    """Memory for decoded images in megabytes, so that small data sets are decoded only once."""
    start_method: Literal["default", "fork", "spawn", "forkserver"] = "default"
    """How worker processes are started; default: the system's default."""

    @property
    def images_per_batch(self) -> int:
        """The batch size as a number.

        Raises:
            ValueError: If it is ``auto`` and has not been measured yet, as a training does first.
        """
        if self.batch_size == "auto":
            raise ValueError("loader.batch_size=auto is measured when a training starts; expected a number here")
        return self.batch_size


POLL_SECONDS = 1.0
"""Seconds between two checks, while waiting for a batch, whether the run was asked to stop and whether all workers live."""
_TIMED_OUT = "timed out"
"""Part of PyTorch's message about a batch that did not arrive in time; the error has no type of its own."""


@dataclass(frozen=True)
class _WorkerFailure:
    """An error in a worker, sent as data; PyTorch's own transfer wraps the message in a traceback of several lines."""

    message: str
    trace: str
    by_memory: bool = False

    def error(self) -> RuntimeError:
        """Return the error to raise in the training process."""
        failure = LoaderError(too_little_memory(self.message)) if self.by_memory else SampleError(self.message)
        failure.add_note(self.trace)
        return failure


class _BatchDataset(torch.utils.data.Dataset[Any]):
    """A data set of whole batches that returns failures instead of raising exceptions.

    A worker process packs a batch here, where an error is still reported, and not in the thread that sends it, where it would be lost.
    """

    def __init__(self, data: DetectionDataset) -> None:
        self._data = data

    def __getitem__(self, keys: list[SampleKey]) -> SampleBatch | PackedBatch | _WorkerFailure:
        try:
            self._data.prefetch(keys)
            batch = SampleBatch.of([self._data[key] for key in keys])
        except SampleError as error:
            return _WorkerFailure(str(error), traceback.format_exc())
        if torch.utils.data.get_worker_info() is None:
            return batch
        try:
            return batch.packed()
        except (RuntimeError, OSError):
            megabytes = sum(image.numel() for image in batch.images) / 1e6
            message = f"a batch of {len(batch)} images needs {megabytes:.1f} MB of shared memory"
            return _WorkerFailure(message, traceback.format_exc(), by_memory=True)


class Loader:
    """Iterate over batches from ``start_step`` on; workers have ended when an iteration ends or is closed.

    Attributes:
        plan: The images of each batch, with ``epoch_of(step)`` and ``steps_per_epoch``.
        data: The samples, by ``(epoch, index)``.
    """

    def __init__(
        self,
        data: DetectionDataset,
        batches: RankBatches,
        config: LoaderConfig,
        pin_memory: bool = False,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.data, self.plan, self._batches, self._is_stopping = data, batches.plan, batches, is_stopping
        method = config.start_method
        self._loader: DataLoader[Any] = DataLoader(
            _BatchDataset(data),
            sampler=batches,  # type: ignore[arg-type]
            batch_size=None,
            num_workers=config.workers,
            prefetch_factor=config.prefetch if config.workers else None,
            multiprocessing_context=None if method == "default" or not config.workers else method,
            pin_memory=pin_memory,
            timeout=POLL_SECONDS if config.workers else 0,
            worker_init_fn=_init_worker,
            generator=torch.Generator().manual_seed(0),  # else it draws from the global one, and training would depend on it
        )

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[SampleBatch]:
        batches = self._start()
        try:
            while True:
                with explain_worker_errors():
                    batch = self._next(batches)
                if batch is None:
                    return
                if isinstance(batch, _WorkerFailure):
                    raise batch.error()
                yield batch.unpacked() if isinstance(batch, PackedBatch) else batch
        finally:
            del batches  # joins the workers

    def _start(self) -> Iterator[Any]:
        """Start the workers, whose queues need shared memory."""
        try:
            return iter(self._loader)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise LoaderError(too_little_memory("worker processes could not be started")) from error

    def _next(self, batches: Iterator[Any]) -> SampleBatch | PackedBatch | _WorkerFailure | None:
        """Return the next batch; None after the last one."""
        while True:
            try:
                batch: SampleBatch | PackedBatch | _WorkerFailure | None = next(batches, None)
                return batch
            except RuntimeError as error:
                if _TIMED_OUT not in str(error):
                    raise
                if self._is_stopping():
                    raise WaitInterrupted from None
            except (ConnectionError, EOFError, FileNotFoundError) as error:  # a worker died while its batch was received
                time.sleep(POLL_SECONDS)  # within which PyTorch notices that, and raises an error of its own
                raise LoaderError(killed_worker(f"{type(error).__name__} while receiving a batch")) from error


def build_loader(
    data: DetectionData,
    augmenter: Augmenter,
    config: LoaderConfig,
    *,
    seed: int = 0,
    start_step: int = 0,
    stop_step: int | None = None,
    rank: int = 0,
    world: int = 1,
    uneven: bool = False,
    pin_memory: bool = False,
    proposals: ProposalSource | None = None,
    is_labeled: Flags | None = None,
    labeled_repeats: float = 1.0,
    tiles: TileSampler | None = None,
    masks: bool = False,
    is_stopping: Callable[[], bool] = lambda: False,
) -> Loader:
    """Build one process's loader for the steps from ``start_step`` to below ``stop_step`` (None: endless).

    ``is_labeled`` ``(M,)`` and ``labeled_repeats`` describe unlabeled images: see :class:`DetectionDataset` and
    :class:`detkit.data.sources.DataConfig`. ``tiles`` draws parts of the images, and ``masks`` adds the masks of the objects. For
    ``uneven`` see :class:`RankBatches`. While the loader waits for a worker it calls ``is_stopping``, and raises a
    :class:`WaitInterrupted` if that returns True.

    Raises:
        ValueError: If the data is empty, or if the processes cannot share a batch equally.
    """
    sizes = data.records.sizes
    cache = ImageCache(sizes, config.cache_megabytes, config.workers) if config.cache_megabytes else None
    dataset = DetectionDataset(
        data.records,
        augmenter,
        seed,
        proposals=proposals,
        cache=cache,
        is_labeled=is_labeled,
        is_classification=data.is_classification,
        tiles=tiles,
        masks=masks,
    )
    plan = batch_plan(data, config, seed, is_labeled, labeled_repeats, tiles=tiles)
    batches = RankBatches(plan, start_step, stop_step, rank, world, uneven)
    return Loader(dataset, batches, config, pin_memory, is_stopping)


def batch_plan(
    data: DetectionData,
    config: LoaderConfig,
    seed: int = 0,
    is_labeled: Flags | None = None,
    labeled_repeats: float = 1.0,
    *,
    tiles: TileSampler | None = None,
) -> BatchPlan:
    """Plan the global batches over a data set; with ``tiles``, each image occurs once for each of its tiles.

    Raises:
        ValueError: If there are no images to draw from.
    """
    records = data.records
    if not len(records):
        raise ValueError(f"{data.name}: no images to train on")
    labeled = np.ones(len(records), np.bool_) if is_labeled is None else is_labeled
    repeats = _repeats(records, config, labeled, labeled_repeats)
    if repeats is not None and not repeats.any():
        raise ValueError(f"{data.name}: none of its {len(records)} images has objects, and loader.skip_empty skips those without")
    if tiles is not None and (tiles.repeats != 1).any():
        repeats = tiles.repeats if repeats is None else repeats * tiles.repeats
    sizes = records.sizes if tiles is None else np.minimum(records.sizes, tiles.config.size)
    groups = aspect_groups(sizes) if config.aspect_grouping else None
    return BatchPlan(len(records), config.images_per_batch, seed, groups=groups, repeats=repeats)


def _repeats(
    records: Records, config: LoaderConfig, labeled: Flags, labeled_repeats: float
) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """Return how often each image occurs in an epoch; unlabeled images occur once."""
    if not config.repeat_threshold and not config.skip_empty and labeled_repeats == 1:
        return None
    counted = records if labeled.all() else records.take(np.flatnonzero(labeled))
    of_class = ~counted.is_ignore
    factors = (
        repeat_factors(counted.labels[of_class], counted.image_index[of_class], len(counted), config.repeat_threshold) * labeled_repeats
    )
    repeats = np.ones(len(records))
    repeats[labeled] = np.where(counted.lengths > 0, factors, 0.0) if config.skip_empty else factors
    return repeats


def _init_worker(number: int) -> None:
    """Limit a worker to one thread, since there are as many workers as should run at once, and leave signals to the training process."""
    import cv2

    signal.set_wakeup_fd(-1)  # inherited: the training process would take this worker's signals for its own
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _ignore_once)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def _ignore_once(number: int, frame: object) -> None:
    """Ignore the first SIGTERM, since a run that is stopping still needs its batch; a second one ends the worker."""
    signal.signal(number, signal.SIG_DFL)
