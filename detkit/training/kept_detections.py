"""Detections of a run's best and newest evaluation, kept in its folder, so that its report needs no further detection."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from detkit.arrays import Floats
from detkit.checkpoint import atomic_write
from detkit.npz import read_npz
from detkit.structures import Detections, Masks

BEST, LAST = "detections_best.npz", "detections_last.npz"
_MASKS, _MASK_ARRAYS = "mask_", ("bits", "windows", "starts", "present")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class KeptDetections:
    """The detections of an evaluation.

    Attributes:
        step: Step of the evaluation.
        images: Digest of the ids of its images, in order.
        counts: ``(M,)`` number of detections of each image.
        boxes: ``(N, 4)`` float32 ``x1 y1 x2 y2``.
        scores: ``(N,)`` float32.
        labels: ``(N,)`` int32.
        masks: The masks; None for a detector without.
    """

    step: int
    images: bytes
    counts: Any
    boxes: Floats
    scores: Floats
    labels: Any
    masks: Masks | None = None

    @classmethod
    def of(cls, step: int, image_ids: Sequence[Any], detections: Sequence[Detections]) -> KeptDetections:
        """Keep the detections of each image, in order."""
        joined = Detections.cat([rows.to("cpu") for rows in detections])
        counts = np.array([len(rows) for rows in detections], np.int32)
        boxes, scores = joined.boxes.float().numpy(), joined.scores.float().numpy()
        return cls(step, _digest(image_ids), counts, boxes, scores, joined.labels.numpy().astype(np.int32), joined.masks)

    def write(self, path: Path) -> None:
        """Write the file atomically.

        Raises:
            WriteError: If the disk is full, or the file cannot be written there.
        """
        columns: dict[str, Any] = {"counts": self.counts, "boxes": self.boxes, "scores": self.scores, "labels": self.labels}
        if self.masks is not None:
            columns |= {_MASKS + name: getattr(self.masks, name) for name in _MASK_ARRAYS}
        columns |= {"step": np.array([self.step], np.int64), "images": np.frombuffer(self.images, np.uint8)}
        with atomic_write(path, sync=False) as temporary, temporary.open("wb") as handle:
            np.savez(handle, **columns)

    @classmethod
    def read(cls, path: Path) -> KeptDetections:
        """Read a file.

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If it is damaged or holds something else.
        """
        arrays = read_npz(path)
        try:
            columns = {name: arrays[name] for name in ("counts", "boxes", "scores", "labels")}
            masks = Masks(*(arrays[_MASKS + name] for name in _MASK_ARRAYS)) if _MASKS + "bits" in arrays else None
            kept = cls(int(arrays["step"][0]), arrays["images"].tobytes(), **columns, masks=masks)
        except (LookupError, TypeError) as error:
            raise ValueError(f"{path}: expected the detections of an evaluation: {error}") from None
        lengths = {int(kept.counts.sum()), len(kept.boxes), len(kept.scores), len(kept.labels)}
        lengths |= set() if masks is None else {len(masks)}
        if len(lengths) != 1 or kept.boxes.shape[1:] != (4,):
            raise ValueError(f"{path}: expected the detections of an evaluation, got arrays that do not belong together")
        return kept

    def by_image(self, image_ids: Sequence[Any]) -> list[Detections]:
        """Return the detections of each image.

        Raises:
            ValueError: If these are not the images of the evaluation, in the same order.
        """
        if _digest(image_ids) != self.images:
            raise ValueError(f"the detections of the evaluation at step {self.step} belong to other images; did the data change?")
        ends = np.cumsum(self.counts)
        boxes, scores = torch.from_numpy(self.boxes), torch.from_numpy(self.scores)
        labels = torch.from_numpy(self.labels).long()
        rows = [slice(int(end - count), int(end)) for end, count in zip(ends, self.counts, strict=True)]
        masks = self.masks
        return [Detections(boxes[row], scores[row], labels[row], masks=None if masks is None else masks[row]) for row in rows]


def keep(detections: KeptDetections | None, folder: Path, *, best: bool) -> None:
    """Write the detections of an evaluation into the folder of a run; a failure costs only its report, and is logged."""
    if detections is None:
        return
    try:
        for name in (LAST, BEST) if best else (LAST,):
            detections.write(folder / name)
    except OSError as error:
        _log.warning("warning: the detections of this evaluation are not kept for the report: %s", error)


def _digest(image_ids: Sequence[Any]) -> bytes:
    return hashlib.sha256("\n".join(map(repr, image_ids)).encode("utf-8", "surrogatepass")).digest()
