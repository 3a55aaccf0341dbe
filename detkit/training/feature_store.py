"""What a detector sees of every region of its training images, kept on disk in half precision and streamed from there."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from detkit.checkpoint import write_text
from detkit.checkpoint.atomic import atomic_write
from detkit.data.images import read_image
from detkit.inference.predictor import Predictor
from detkit.ops.boxes import box_iou
from detkit.training.config import Precision
from detkit.training.precision import resolve_precision

if TYPE_CHECKING:
    from detkit.data import DetectionData
    from detkit.training.run import Run

log = logging.getLogger("detkit.training")

NEAR = 0.5
"""IoU with an object from which a region's features for box regression are kept; R-CNN learns from 0.6 on."""
FEATURES_SHARE = 0.8
"""Of what a stage may take, the part after which no further features are made, so that the layers are still fitted to those there are."""
KEY = "key.txt"


@dataclass(frozen=True, eq=False)
class RegionFeatures:
    """The regions of one image: its objects first (crowds left out), then its proposals.

    Attributes:
        boxes: ``(n, 4)`` float32, in the pixels that the model saw.
        labels: ``(m,)`` of the objects, which are the first m regions.
        hidden: ``(n, D)`` float16: what the last layers see.
        near: ``(p,)`` the regions whose IoU with an object is at least :data:`NEAR`.
        pooled: ``(p, E)`` float16: what their boxes are regressed from.
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    hidden: NDArray[np.float16]
    near: NDArray[np.int64]
    pooled: NDArray[np.float16]

    def overlaps(self) -> NDArray[np.float32]:
        """``(n, m)`` IoU of every region with every object."""
        boxes = torch.from_numpy(self.boxes)
        found: NDArray[np.float32] = box_iou(boxes, boxes[: len(self.labels)]).numpy()
        return found


class FeatureStore:
    """The features of many images, made once and kept in a folder as far as its budget goes; the rest is made again each time.

    Args:
        folder: Where they are kept; what other weights made is removed from it.
        key: Names all that they depend on.
        megabytes: The budget, in units of 10^6 bytes.
        count: How many images there are.
        make: Gives the features of a image.
        is_late: Whether no more may be made: the images whose features are not there are then left out, but for the first.
    """

    def __init__(
        self,
        folder: Path,
        key: str,
        megabytes: float,
        count: int,
        make: Callable[[int], RegionFeatures],
        *,
        is_late: Callable[[], bool] = lambda: False,
    ) -> None:
        self.folder, self._budget, self._count, self._make, self._is_late = folder, megabytes * 1e6, count, make, is_late
        if folder.exists() and (not (folder / KEY).is_file() or (folder / KEY).read_text("utf-8") != key):
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / KEY, key)
        self._used = sum(path.stat().st_size for path in folder.glob("*.npz"))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[RegionFeatures]:
        place = 0
        while place < self._count:
            if place and not self._path(place).is_file() and self._is_late():
                log.warning("warning: the budget allows the features of %d of %d images; the others are left out", place, self._count)
                self._count = place
                return
            yield self[place]
            place += 1

    def _path(self, place: int) -> Path:
        return self.folder / f"{place}.npz"

    def __getitem__(self, place: int) -> RegionFeatures:
        """The features of a image."""
        path = self._path(place)
        if path.is_file():
            with np.load(path, allow_pickle=False) as arrays:
                return RegionFeatures(**{name: arrays[name] for name in arrays.files})
        found = self._make(place)
        size = sum(value.nbytes for value in vars(found).values())
        if self._used + size <= self._budget:
            with atomic_write(path) as temporary, temporary.open("wb") as handle:
                np.savez(handle, **vars(found))
            self._used += size
        return found


def images_to_fit(run: Run) -> DetectionData:
    """The images to whose features the layers of a run's detector are fitted.

    Raises:
        ValueError: it has no such layers.
    """
    detector: Any = run.detector
    if run.data.records is None or getattr(getattr(detector, "region", None), "fitted", None) is None:
        raise ValueError(
            f"stage: {type(detector).__name__} has no layers that are fitted to features; set model.region.fitted, or leave it out"
        )
    return run.data.records


def feature_store(run: Run, megabytes: float, precision: Precision = "fp32") -> FeatureStore:
    """The features of a run's training images, as its detector is now.

    Args:
        run: The run.
        megabytes: What they may take on disk, in units of 10^6 bytes.
        precision: In which numbers they are made; they are kept in half precision.

    Raises:
        ValueError: the detector has no layers to fit, or several processes were started.
    """
    records = images_to_fit(run).records
    if run.processes.world > 1:
        raise ValueError(f"stage: layers are fitted by one process, got {run.processes.world}; run it alone with --stage, without torchrun")
    precision = resolve_precision(precision, run.device)
    predictor = Predictor(run.detector, run.preprocess, run.header["class_names"], run.device, precision, proposer=run.proposer)
    # By lot, so that those for which the budget is enough show all that the data has.
    order = np.random.default_rng(run.seed).permutation(len(records))

    def make(place: int) -> RegionFeatures:
        record = records[int(order[place])]
        with run.clock.spent_on("features"):
            return region_features(predictor, read_image(record.path), record.targets)

    def is_late() -> bool:
        return run.is_late(FEATURES_SHARE)

    return FeatureStore(run.folder.path / "features", _key(run, precision), megabytes, len(records), make, is_late=is_late)


def region_features(predictor: Predictor, image: NDArray[np.uint8], targets: Any) -> RegionFeatures:
    """What the detector sees of a image's objects and proposals."""
    prepared = predictor.prepare(image)
    truth = prepared.placement.place(targets[~targets.is_crowd])
    with predictor.running() as running:
        detector: Any = running
        batch = detector.prepare([prepared.image])
        found = prepared.proposals
        boxes = truth.boxes.to(predictor.device) if found is None else torch.cat((truth.boxes.to(predictor.device), found.boxes))
        pooled = detector.region.pooled(detector.source(detector.maps(batch.images)), [boxes])
        hidden = detector.region.head(pooled)
        near = (box_iou(boxes, truth.boxes.to(boxes.device)) >= NEAR).any(1).nonzero().flatten()
        regressed = detector.region.fitted.box_features(pooled[near], hidden[near])
    parts = boxes.float(), truth.labels, hidden.half(), near, regressed.half()
    return RegionFeatures(*(part.cpu().numpy() for part in parts))


def mean_norms(store: FeatureStore, images: int = 200) -> tuple[float, float]:
    """Mean norms of what the last layers see and of what boxes are regressed from, over some images (``rcnn_feature_stats.m``)."""
    totals, counts = np.zeros(2), np.zeros(2)
    for found in islice(store, images):
        for which, features in enumerate((found.hidden, found.pooled)):
            totals[which] += np.linalg.norm(features.astype(np.float32), axis=1).sum()
            counts[which] += len(features)
    hidden, pooled = totals / np.maximum(counts, 1)
    return float(hidden) or 1.0, float(pooled) or 1.0


def _key(run: Run, precision: Precision) -> str:
    """A hash of the weights that features depend on, and of how images and proposals come."""
    digest = hashlib.sha256(f"{run.preprocess.to_json()} {run.header['model']} {run.data.images} {run.seed} {precision}".encode())
    for name, tensor in run.detector.state_dict().items():
        if not name.startswith(("region.fitted.", "region.predictor.")):
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
