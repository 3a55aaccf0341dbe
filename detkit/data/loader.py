"""Training batches, made in worker processes ahead of time."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch.utils.data import DataLoader

from detkit.config import Config
from detkit.data.augment import Augmenter
from detkit.data.batches import SampleBatch
from detkit.data.cache import ImageCache
from detkit.data.dataset import DetectionDataset, ProposalSource, Sample, SampleError, image_seed
from detkit.data.records import DetectionData, Records
from detkit.data.sampler import BatchPlan, RankBatches, SampleKey, aspect_groups, repeat_factors

Flags = np.ndarray[Any, np.dtype[np.bool_]]

__all__ = ["DetectionDataset", "Loader", "LoaderConfig", "Sample", "SampleBatch", "SampleError", "batch_plan", "build_loader", "image_seed"]


class LoaderConfig(Config):
    """How images become batches."""

    batch_size: int = Field(4, ge=1)
    """Images in a step, over all processes."""
    workers: int = Field(2, ge=0)
    """Processes beside each training process that read and augment; 0: it does so itself. The samples are the same."""
    prefetch: int = Field(2, ge=1)
    """Batches that each worker makes ahead."""
    aspect_grouping: bool = True
    """Landscape and portrait images in batches of their own, which need less padding."""
    repeat_threshold: float = Field(0.0, ge=0, le=1)
    """Images of classes on less than this share of the images come more often (LVIS's repeat factors; they use .001); 0: never."""
    skip_empty: bool = False
    """Leave out images without objects; torchvision's and detectron2's COCO recipes do."""
    cache_megabytes: float = Field(0.0, ge=0)
    """Memory for decoded images, so that small data sets are decoded once."""
    start_method: Literal["default", "fork", "spawn", "forkserver"] = "default"
    """How workers are started; default: as the system does."""


@dataclass(frozen=True)
class _Failure:
    """What went wrong in a worker, sent whole: PyTorch's own way wraps the message in a trace of several lines."""

    message: str
    trace: str


class _Fetched(torch.utils.data.Dataset[Any]):
    """A data set that gives whole batches, and failures instead of exceptions."""

    def __init__(self, data: DetectionDataset) -> None:
        self._data = data

    def __getitem__(self, keys: list[SampleKey]) -> SampleBatch | _Failure:
        try:
            samples = [self._data[key] for key in keys]
        except SampleError as error:
            return _Failure(str(error), traceback.format_exc())
        return SampleBatch.of(samples)


class Loader:
    """Iterates over batches from ``start_step`` on; when an iteration ends or is closed, its workers have ended too.

    Attributes:
        plan: Which images make which batch, with ``epoch_of(step)`` and ``steps_per_epoch``.
        data: The samples, by ``(epoch, index)``.
    """

    def __init__(self, data: DetectionDataset, batches: RankBatches, config: LoaderConfig, pin_memory: bool = False) -> None:
        self.data, self.plan, self._batches = data, batches.plan, batches
        method = config.start_method
        self._loader: DataLoader[Any] = DataLoader(
            _Fetched(data),
            sampler=batches,  # type: ignore[arg-type]
            batch_size=None,
            num_workers=config.workers,
            prefetch_factor=config.prefetch if config.workers else None,
            multiprocessing_context=None if method == "default" or not config.workers else method,
            pin_memory=pin_memory,
            worker_init_fn=_start_worker,
            generator=torch.Generator().manual_seed(0),  # else it draws from the global one, and training would depend on it
        )

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[SampleBatch]:
        batches = iter(self._loader)
        try:
            for batch in batches:
                if isinstance(batch, _Failure):
                    failed = SampleError(batch.message)
                    failed.add_note(batch.trace)
                    raise failed
                yield batch
        finally:
            del batches  # joins the workers


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
    pin_memory: bool = False,
    proposals: ProposalSource | None = None,
    is_labeled: Flags | None = None,
    labeled_repeats: float = 1.0,
) -> Loader:
    """The batches that one process gets, of the steps ``start_step`` to ``stop_step`` (not included; None: without end).

    ``is_labeled`` ``(M,)`` and ``labeled_repeats`` are about images that nobody labeled: see :class:`DetectionDataset` and
    :class:`detkit.data.sources.DataConfig`.

    Raises:
        ValueError: the data are empty, or the processes cannot share a batch equally.
    """
    sizes = data.records.sizes
    cache = ImageCache(sizes, config.cache_megabytes, config.workers) if config.cache_megabytes else None
    dataset = DetectionDataset(data.records, augmenter, seed, proposals=proposals, cache=cache, is_labeled=is_labeled, whole=data.whole)
    batches = RankBatches(batch_plan(data, config, seed, is_labeled, labeled_repeats), start_step, stop_step, rank, world)
    return Loader(dataset, batches, config, pin_memory)


def batch_plan(
    data: DetectionData, config: LoaderConfig, seed: int = 0, is_labeled: Flags | None = None, labeled_repeats: float = 1.0
) -> BatchPlan:
    """The global batches over a data set.

    Raises:
        ValueError: there is nothing to draw from.
    """
    records = data.records
    if not len(records):
        raise ValueError(f"{data.name}: no images to train on")
    labeled = np.ones(len(records), np.bool_) if is_labeled is None else is_labeled
    repeats = _repeats(records, config, labeled, labeled_repeats)
    if repeats is not None and not repeats.any():
        raise ValueError(f"{data.name}: none of its {len(records)} images has objects, and loader.skip_empty leaves out those without")
    groups = aspect_groups(records.sizes) if config.aspect_grouping else None
    return BatchPlan(len(records), config.batch_size, seed, groups=groups, repeats=repeats)


def _repeats(records: Records, config: LoaderConfig, labeled: Flags, times: float) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """How often each image comes in an epoch; an unlabeled one once, whatever it shows."""
    if not config.repeat_threshold and not config.skip_empty and times == 1:
        return None
    counted = records if labeled.all() else records.take(np.flatnonzero(labeled))
    repeats = repeat_factors(counted.labels, counted.image_index, len(counted), config.repeat_threshold) * times
    every = np.ones(len(records))
    every[labeled] = np.where(counted.lengths > 0, repeats, 0.0) if config.skip_empty else repeats
    return every


def _start_worker(number: int) -> None:
    """One thread a worker, as they are as many as should run at once; signals to the whole group are the training process's to answer."""
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _once)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def _once(number: int, frame: object) -> None:
    """Let a first SIGTERM pass: a run that is asked to stop still needs its batch; a second one ends the worker."""
    signal.signal(number, signal.SIG_DFL)
