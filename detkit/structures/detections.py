"""The detections of one image: the type that every detector returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast, overload

import torch
from torch import Tensor

from detkit.structures.columns import column
from detkit.structures.detection import Detection, DetectionArrays, DetectionMethods
from detkit.structures.masks import Masks
from detkit.structures.rows import Index, Rows, is_number


@dataclass(frozen=True, eq=False, repr=False)
class Detections(DetectionMethods, Rows):
    """The detections of one image, best first.

    Iterating yields a :class:`Detection` for each row, and so does an index that is a number; masks, index tensors, lists of row
    numbers and slices select several rows.

    Attributes:
        boxes: ``(N, 4)`` float32 ``x1 y1 x2 y2``.
        scores: ``(N,)`` float32 in [0, 1].
        labels: ``(N,)`` int64, 0 to K - 1.
        class_names: The K names of the classes, where a predictor made the detections; None for a class without a name.
        mask_probabilities: ``(N, M, M)`` float32 in [0, 1], the probability that each cell of a grid over the box belongs to the object,
            as a model predicts it; None for detectors without masks.
        masks: The pixels of each object in the image; None unless a predictor computed them from ``mask_probabilities``.
    """

    scores: Tensor = field(metadata=column(torch.float32))
    labels: Tensor = field(metadata=column(torch.int64))
    class_names: tuple[str | None, ...] | None = None
    mask_probabilities: Tensor | None = field(default=None, metadata=column(torch.float32, (-1, -1), optional=True))
    masks: Masks | None = field(default=None, metadata=column(Masks))

    @overload
    def __getitem__(self, index: int) -> Detection: ...

    @overload
    def __getitem__(self, index: Index) -> Detections: ...

    def __getitem__(self, index: int | Index) -> Detection | Detections:
        """Return one detection, or those that a mask, an index tensor, a list of row numbers or a slice selects.

        Raises:
            IndexError: If there is no such row.
        """
        if is_number(index):
            return self.one(int(index))
        return super().__getitem__(cast("Index", index))

    def numpy(self) -> DetectionArrays:
        """Return the detections as numpy arrays, which share the memory of tensors on the CPU."""
        probabilities = None if self.mask_probabilities is None else self.mask_probabilities.cpu().numpy()
        rows = self.boxes.cpu().numpy(), self.scores.cpu().numpy(), self.labels.cpu().numpy()
        return DetectionArrays(*rows, self.class_names, probabilities, self.masks)

    @classmethod
    def from_numpy(cls, rows: DetectionArrays) -> Detections:
        """Return the detections as tensors, which share the memory of the arrays."""
        probabilities = None if rows.mask_probabilities is None else torch.from_numpy(rows.mask_probabilities)
        tensors = torch.from_numpy(rows.boxes), torch.from_numpy(rows.scores), torch.from_numpy(rows.labels)
        return cls(*tensors, rows.class_names, probabilities, rows.masks)
