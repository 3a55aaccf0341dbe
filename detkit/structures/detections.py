"""The detections of one image: the type that every detector returns."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detkit.structures.rows import Index, Rows

_MOST_CLASSES = 6
"""Classes that the text of detections lists."""


@dataclass(frozen=True)
class Detection:
    """One detection, in plain Python numbers.

    Attributes:
        box: ``(x1, y1, x2, y2)`` in pixels of the image.
        score: From 0 to 1.
        label: Number of the class, from 0.
        class_name: Name of the class; None if it has none or is unknown.
    """

    box: tuple[float, float, float, float]
    score: float
    label: int
    class_name: str | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Detections(Rows):
    """The detections of one image, best first.

    Iterating yields a :class:`Detection` for each row, and so does an index that is a number; masks, index tensors, lists of row
    numbers and slices select several rows.

    Attributes:
        boxes: ``(N, 4)`` float32 ``x1 y1 x2 y2``.
        scores: ``(N,)`` float32 in [0, 1].
        labels: ``(N,)`` int64, 0 to K - 1.
        class_names: The K names of the classes, where a predictor made the detections; None for a class without a name.
    """

    scores: Tensor
    labels: Tensor
    class_names: tuple[str | None, ...] | None = None

    _dtypes: ClassVar[dict[str, torch.dtype]] = {
        "boxes": torch.float32,
        "scores": torch.float32,
        "labels": torch.int64,
    }

    @overload
    def __getitem__(self, index: int) -> Detection: ...

    @overload
    def __getitem__(self, index: Index) -> Detections: ...

    def __getitem__(self, index: int | Index) -> Detection | Detections:
        """Return one detection, or those that a mask, an index tensor, a list of row numbers or a slice selects.

        Raises:
            IndexError: If there is no such row.
        """
        if isinstance(index, (int, np.integer)):
            box, score, label = self.boxes[index].tolist(), float(self.scores[index]), int(self.labels[index])
            return Detection((box[0], box[1], box[2], box[3]), score, label, self.class_name(label))
        return super().__getitem__(index)

    def __iter__(self) -> Iterator[Detection]:
        for box, score, label in zip(self.boxes.tolist(), self.scores.tolist(), self.labels.tolist(), strict=True):
            yield Detection((box[0], box[1], box[2], box[3]), score, label, self.class_name(label))

    def __repr__(self) -> str:
        total = len(self)
        if not total:
            return "Detections(none)"
        counts = Counter(self.class_name(label) or f"label {label}" for label in self.labels.tolist())
        listed = [f"{count} {name}" for name, count in counts.most_common(_MOST_CLASSES)]
        more = f", and {len(counts) - _MOST_CLASSES} more classes" if len(counts) > _MOST_CLASSES else ""
        return f"Detections({total}: {', '.join(listed)}{more}; best score {float(self.scores.max()):.3f})"

    def class_name(self, label: int) -> str | None:
        """Return the name of a class, or None if it has none or the names are unknown."""
        known = self.class_names is not None and 0 <= label < len(self.class_names)
        return self.class_names[label] if known and self.class_names is not None else None

    def draw(self, image: Any, *, min_score: float = 0.0, scale: int = 1) -> NDArray[np.uint8]:
        """Return a copy of the image with boxes, class names and scores.

        Args:
            image: The image that the detections are of: a path, a PIL image, an ``(H, W, 3)`` uint8 RGB array, or a ``(3, H, W)`` tensor.
            min_score: Detections with a lower score are not drawn.
            scale: Factor by which the copy is enlarged.

        Returns:
            ``(scale * H, scale * W, 3)`` uint8 RGB.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is not an image.
        """
        # Reading and drawing are layers above this one: they are found by name when they are needed.
        pixels = importlib.import_module("detkit.inference.image_like").as_pixels(image)
        drawing: NDArray[np.uint8] = importlib.import_module("detkit.drawing").draw_detections(
            pixels, self, self.class_names or (), min_score=min_score, scale=scale
        )
        return drawing

    def to_dict(self) -> dict[str, Any]:
        """Return the detections as plain Python data, ready for JSON: the form that ``detkit detect --json`` writes for each image."""
        return {
            "detections": [
                {"class": row.class_name, "label": row.label, "score": round(row.score, 7), "box": [round(value, 4) for value in row.box]}
                for row in self
            ]
        }

    def to_pandas(self) -> Any:
        """Return a data frame with the columns x1, y1, x2, y2, score, label and class_name.

        Raises:
            ImportError: If pandas is not installed.
        """
        pandas = _require("pandas", "to_pandas")
        frame = pandas.DataFrame(self.boxes.cpu().numpy(), columns=["x1", "y1", "x2", "y2"])
        return frame.assign(score=self.scores.cpu().numpy(), label=self.labels.cpu().numpy(), class_name=[row.class_name for row in self])

    def to_supervision(self) -> Any:
        """Return a ``supervision.Detections``, with the class names under ``data["class_name"]``.

        Raises:
            ImportError: If supervision is not installed.
        """
        supervision = _require("supervision", "to_supervision")
        names = np.array([row.class_name or f"class {row.label}" for row in self], dtype=str)
        return supervision.Detections(
            xyxy=self.boxes.cpu().numpy(),
            confidence=self.scores.cpu().numpy(),
            class_id=self.labels.cpu().numpy().astype(int),
            data={"class_name": names},
        )


def _require(package: str, method: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError:
        raise ImportError(f"Detections.{method}() needs the package {package}, which is not installed: pip install {package}") from None
