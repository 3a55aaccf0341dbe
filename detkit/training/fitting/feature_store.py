"""Features of every region of the training images, cached on disk in half precision and streamed from there."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detkit.checkpoint import write_text
from detkit.checkpoint.atomic import WriteError, atomic_write
from detkit.checkpoint.temporary import remove_stale_temporaries
from detkit.data.media.images import read_image
from detkit.inference.predictor import Predictor
from detkit.models.fast_rcnn import FastRCNN
from detkit.npz import read_npz
from detkit.ops.boxes import box_iou
from detkit.ops.match import extend_regions, mostly_inside_regions
from detkit.structures import Targets
from detkit.training.config import Precision
from detkit.training.optim.precision import resolve_precision

if TYPE_CHECKING:
    from detkit.data import DetectionData
    from detkit.heads.region.fitted import FittedLayers
    from detkit.models.detector import Detector
    from detkit.training.run import Run

_log = logging.getLogger(__name__)

NEAR_IOU = 0.5
"""IoU with an object from which the features for box regression of a region are kept; R-CNN uses regions from 0.6 on."""
FEATURES_SHARE = 0.8
"""Fraction of a stage's budget after which no more features are computed, so that time remains to fit the layers to those computed."""
KEY = "key.txt"
"""File that marks a folder as a feature cache, with a hash of everything that the features depend on."""
_MARK, _ROWS = "detkit features ", "regions-"
_OWN_FILES = re.compile(r"\d+\.npz")
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, eq=False)
class RegionFeatures:
    """The regions of one image: first its objects, then its proposals, except those in ignore regions that are not on an object.

    Attributes:
        boxes: Boxes ``(n, 4)`` float32, in pixels of the model's input.
        labels: Labels ``(m,)`` of the objects, which are the first m regions.
        hidden: Inputs of the last layers, ``(n, D)`` float16.
        near: Indices ``(p,)`` of the regions whose IoU with an object is at least :data:`NEAR_IOU`.
        pooled: Features ``(p, E)`` float16 of those regions, from which their boxes are regressed.
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    hidden: NDArray[np.float16]
    near: NDArray[np.int64]
    pooled: NDArray[np.float16]

    def ious(self) -> NDArray[np.float32]:
        """Return the IoU ``(n, m)`` of every region with every object."""
        boxes = torch.from_numpy(self.boxes)
        ious: NDArray[np.float32] = box_iou(boxes, boxes[: len(self.labels)]).numpy()
        return ious


class FeatureStore:
    """Features of many images, cached in a folder up to a size limit; those that do not fit are recomputed on every access.

    Args:
        folder: The cache folder; features of other weights in it are deleted, and nothing else.
        key: Identifies everything that the features depend on.
        megabytes: The size limit, in units of 10^6 bytes.
        count: Number of images.
        compute: Computes the features of the image with an index.
        is_budget_spent: Whether no more features may be computed. The images without cached features are then skipped, except the first.
    """

    def __init__(
        self,
        folder: Path,
        key: str,
        megabytes: float,
        count: int,
        compute: Callable[[int], RegionFeatures],
        *,
        is_budget_spent: Callable[[], bool] = lambda: False,
    ) -> None:
        self.folder, self._limit, self._count, self._compute = folder, megabytes * 1e6, count, compute
        self._is_budget_spent = is_budget_spent
        check_feature_folder(folder)
        if folder.exists():
            _remove_leftovers(folder)
        if (folder / KEY).is_file() and (folder / KEY).read_text("utf-8") != _MARK + key:
            _delete_features(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / KEY, _MARK + key)
        self._used = sum(path.stat().st_size for path in folder.glob("*.npz"))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[RegionFeatures]:
        index = 0
        while index < self._count:
            if index and not self._path(index).is_file() and self._is_budget_spent():
                _log.warning("warning: the budget allows the features of %d of %d images; the other images are skipped", index, self._count)
                self._count = index
                return
            yield self[index]
            index += 1

    def _path(self, index: int) -> Path:
        return self.folder / f"{index}.npz"

    def __getitem__(self, index: int) -> RegionFeatures:
        """Return the features of an image."""
        path = self._path(index)
        if path.is_file():
            try:
                return RegionFeatures(**read_npz(path))
            except (OSError, ValueError, TypeError) as error:
                _log.warning("features: %s is damaged (%s) and computed again", path, type(error).__name__)
        features = self._compute(index)
        size = sum(value.nbytes for value in vars(features).values())
        if self._used + size <= self._limit:
            self._write(path, features, size)
        return features

    def _write(self, path: Path, features: RegionFeatures, size: int) -> None:
        """Write the features of an image; they only save time, so those that do not fit the disk are computed in every pass."""
        try:
            with atomic_write(path) as temporary, temporary.open("wb") as handle:
                np.savez(handle, **vars(features))
            self._used += size
        except WriteError as error:
            self._limit = 0.0
            _log.warning("warning: features are no longer cached, and are computed again in each pass: %s", error)


def check_feature_folder(folder: Path) -> None:
    """Check that a folder can hold a feature cache: it does not exist, is empty, or is a feature cache already.

    Raises:
        ValueError: If it holds files of another origin.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    mark = (folder / KEY).read_text("utf-8", "replace") if (folder / KEY).is_file() else ""
    if not mark.startswith(_MARK) and not _HASH.fullmatch(mark):  # earlier versions wrote the hash alone
        raise ValueError(
            f"{folder}: expected no such folder or the features of this run, got files of another origin; move them, as the run caches "
            "features there"
        )


def _delete_features(folder: Path) -> None:
    """Delete the features of other weights, by their names; the marker stays until the new one replaces it."""
    for path in folder.iterdir():
        if path.is_file() and _OWN_FILES.fullmatch(path.name):
            path.unlink()


def _remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left in a feature cache: temporary files, and folders of :func:`temporary_rows`."""
    remove_stale_temporaries(folder)
    for rows in folder.glob(f"{_ROWS}*/"):
        for path in rows.glob("*.*"):
            if path.suffix in {".features", ".targets"} and path.stem.isdecimal():
                path.unlink()
        if not any(rows.iterdir()):
            rows.rmdir()


def temporary_rows(store: FeatureStore) -> TemporaryDirectory[str]:
    """Return a temporary folder in a feature cache for the regions of each class."""
    return TemporaryDirectory(prefix=_ROWS, dir=store.folder)


def feature_folder(run: Run) -> Path:
    """Return the folder of a run's feature cache."""
    return run.folder.path / "features"


def fitting_data(run: Run) -> DetectionData:
    """Return the training images that the fitted layers of a run's detector are fitted to.

    Raises:
        ValueError: If the detector has no fitted layers.
    """
    if run.data.records is None or not isinstance(run.detector, FastRCNN) or run.detector.region.fitted is None:
        raise ValueError(
            f"stage: {type(run.detector).__name__} has no layers to fit to features; expected a detector that takes proposals, with "
            "model.region.fitted set; set it, or remove the stage"
        )
    return run.data.records


def fitted_layers(detector: Detector) -> FittedLayers:
    """Return the fitted layers of a detector that :func:`fitting_data` accepts."""
    return cast("FittedLayers", cast("FastRCNN", detector).region.fitted)


def feature_store(run: Run, megabytes: float, precision: Precision = "fp32") -> FeatureStore:
    """Return the features of a run's training images for the current weights of its detector.

    Args:
        run: The run.
        megabytes: Disk space for the cache, in units of 10^6 bytes.
        precision: Number format in which the features are computed; they are stored in half precision.

    Raises:
        ValueError: If the detector has no fitted layers, or there are several processes.
    """
    records = fitting_data(run).records
    if run.processes.world > 1:
        raise ValueError(
            f"stage: expected one process to fit layers, got {run.processes.world}; run this stage alone with --stage, without torchrun"
        )
    precision = resolve_precision(precision, run.device)
    predictor = Predictor(run.detector, run.preprocess, run.header["class_names"], run.device, precision, proposer=run.proposer)
    # In random order, so that the images that the budget allows are representative of all.
    order = np.random.default_rng(run.seed).permutation(len(records))

    def compute(index: int) -> RegionFeatures:
        record = records[int(order[index])]
        with run.clock.measure("features"):
            return region_features(predictor, read_image(record.path), record.targets)

    def is_budget_spent() -> bool:
        return run.is_budget_spent(FEATURES_SHARE)

    return FeatureStore(feature_folder(run), _key(run, precision), megabytes, len(records), compute, is_budget_spent=is_budget_spent)


def region_features(predictor: Predictor, image: NDArray[np.uint8], targets: Targets) -> RegionFeatures:
    """Compute the features of the objects and proposals of an image."""
    prepared = predictor.prepare(image)
    _, height, width = prepared.image.shape
    (placed,) = extend_regions([prepared.placement.apply(targets)], [(height, width)])
    truth = placed[~placed.is_crowd]
    with predictor.running() as running:
        detector = cast("FastRCNN", running)
        batch = detector.prepare([prepared.image])
        boxes = truth.boxes.to(predictor.device)
        if prepared.proposals is not None:
            boxes = torch.cat((boxes, _counted(prepared.proposals.boxes, placed.to(predictor.device))))
        pooled = detector.region.pooled(detector.region_source(detector.maps(batch.images)), [boxes])
        hidden = detector.region.head(pooled)
        near = (box_iou(boxes, truth.boxes.to(boxes.device)) >= NEAR_IOU).any(1).nonzero().flatten()
        box_features = fitted_layers(detector).box_features(pooled[near], hidden[near])
    parts = boxes.float(), truth.labels, hidden.half(), near, box_features.half()
    return RegionFeatures(*(part.cpu().numpy() for part in parts))


def _counted(boxes: Tensor, targets: Targets) -> Tensor:
    """Return the ``(N, 4)`` proposals of an image without those that are mostly inside an ignore region and not on an object."""
    on_object = (box_iou(boxes, targets.boxes[~targets.is_crowd]) >= NEAR_IOU).any(1)
    return boxes[on_object | ~mostly_inside_regions(boxes, targets)]


def mean_norms(store: FeatureStore, images: int = 200) -> tuple[float, float]:
    """Return the mean norms of the hidden and of the pooled features, over some of the images (``rcnn_feature_stats.m``)."""
    totals, counts = np.zeros(2), np.zeros(2)
    for regions in islice(store, images):
        for index, features in enumerate((regions.hidden, regions.pooled)):
            totals[index] += np.linalg.norm(features.astype(np.float32), axis=1).sum()
            counts[index] += len(features)
    hidden, pooled = totals / np.maximum(counts, 1)
    return float(hidden) or 1.0, float(pooled) or 1.0


def _key(run: Run, precision: Precision) -> str:
    """Return a hash of the weights that the features depend on, and of the settings of preprocessing, data and proposals."""
    digest = hashlib.sha256(f"{run.preprocess.to_json()} {run.header['model']} {run.data.images} {run.seed} {precision}".encode())
    for name, tensor in run.detector.state_dict().items():
        if not name.startswith(("region.fitted.", "region.predictor.")):
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
