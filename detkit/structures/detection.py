"""The detections of one image without PyTorch: one detection, the methods that need plain numbers only, and rows of numpy arrays."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from detkit.arrays import Flags, Floats, ImageArray, Integers, Size
from detkit.structures.masks import Masks
from detkit.structures.parts import filled_parts, given_parts

_MOST_CLASSES = 6
"""Classes that the text of detections lists."""

_OPTIONAL = ("mask_probabilities", "masks")
"""Columns of detections that may be None."""

ArrayIndex = Flags | Integers | slice | list[int]


@dataclass(frozen=True)
class Detection:
    """One detection, in plain Python numbers.

    Attributes:
        box: ``(x1, y1, x2, y2)`` in pixels of the image.
        score: From 0 to 1.
        label: Number of the class, from 0.
        class_name: Name of the class; None if it has none or is unknown.
        mask: The pixels of the object, one row; ``mask.array(0, size)`` is an array of the image. None for detectors without masks.
    """

    box: tuple[float, float, float, float]
    score: float
    label: int
    class_name: str | None = None
    mask: Masks | None = field(default=None, compare=False, repr=False)


class DetectionMethods:
    """Methods of the detections of one image, whose ``boxes``, ``scores`` and ``labels`` are tensors or numpy arrays."""

    boxes: Any
    scores: Any
    labels: Any
    class_names: tuple[str | None, ...] | None
    masks: Masks | None

    if TYPE_CHECKING:  # each class has its own

        def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Detection]:
        columns = zip(self.boxes.tolist(), self.scores.tolist(), self.labels.tolist(), strict=True)
        for index, (box, score, label) in enumerate(columns):
            yield Detection((box[0], box[1], box[2], box[3]), score, label, self.class_name(label), self._mask(index))

    def __repr__(self) -> str:
        name, labels = type(self).__name__, self.labels.tolist()
        if not labels:
            return f"{name}(none)"
        counts = Counter(self.class_name(label) or f"label {label}" for label in labels)
        listed = [f"{count} {name}" for name, count in counts.most_common(_MOST_CLASSES)]
        more = f", and {len(counts) - _MOST_CLASSES} more classes" if len(counts) > _MOST_CLASSES else ""
        return f"{name}({len(labels)}: {', '.join(listed)}{more}; best score {float(self.scores.max()):.3f})"

    def one(self, index: int) -> Detection:
        """Return the detection in a row; negative numbers count from the end.

        Raises:
            IndexError: If there is no such row.
        """
        box, score, label = self.boxes[index].tolist(), float(self.scores[index]), int(self.labels[index])
        return Detection((box[0], box[1], box[2], box[3]), score, label, self.class_name(label), self._mask(index))

    def _mask(self, index: int) -> Masks | None:
        return None if self.masks is None else self.masks[[index]]

    def class_name(self, label: int) -> str | None:
        """Return the name of a class, or None if it has none or the names are unknown."""
        known = self.class_names is not None and 0 <= label < len(self.class_names)
        return self.class_names[label] if known and self.class_names is not None else None

    def draw(self, image: Any, *, min_score: float = 0.0, scale: int = 1) -> ImageArray:
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
        drawing: ImageArray = importlib.import_module("detkit.drawing.boxes").draw_detections(
            pixels, self, self.class_names or (), min_score=min_score, scale=scale
        )
        return drawing

    def to_dict(self, size: Size | None = None) -> dict[str, Any]:
        """Return the detections as plain Python data, ready for JSON: the form that ``detkit detect --json`` writes for each image.

        Args:
            size: ``(height, width)`` of the image, for the masks, which are written as COCO's run lengths; None: leave masks out.
        """
        rows: list[dict[str, Any]] = [
            {"class": row.class_name, "label": row.label, "score": round(row.score, 7), "box": _rounded(row.box)} for row in self
        ]
        if self.masks is not None and size is not None:
            rows = [{**row, "mask": self.masks.runs(index, size)} for index, row in enumerate(rows)]
        return {"detections": rows}

    def to_pandas(self) -> Any:
        """Return a data frame with the columns x1, y1, x2, y2, score, label and class_name.

        Raises:
            ImportError: If pandas is not installed.
        """
        pandas, rows = _require("pandas", "to_pandas"), self.numpy()
        frame = pandas.DataFrame(rows.boxes, columns=["x1", "y1", "x2", "y2"])
        return frame.assign(score=rows.scores, label=rows.labels, class_name=[row.class_name for row in self])

    def to_supervision(self, size: Size | None = None) -> Any:
        """Return a ``supervision.Detections``, with the class names under ``data["class_name"]`` and the masks as ``mask``.

        Args:
            size: ``(height, width)`` of the image, which masks need, as ``image.shape[:2]``.

        Raises:
            ImportError: If supervision is not installed.
            ValueError: If the detections have masks, and no size is given.
        """
        supervision, rows = _require("supervision", "to_supervision"), self.numpy()
        names = np.array([row.class_name or f"class {row.label}" for row in self], dtype=str)
        columns = {"xyxy": rows.boxes, "confidence": rows.scores, "class_id": rows.labels.astype(int), "data": {"class_name": names}}
        if rows.masks is None:
            return supervision.Detections(**columns)
        if size is None:
            raise ValueError("to_supervision: expected the size of the image for the masks, got none; call to_supervision(image.shape[:2])")
        return supervision.Detections(**columns, mask=rows.masks.arrays((int(size[0]), int(size[1]))))

    def numpy(self) -> DetectionArrays:
        """Return the detections as numpy arrays."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False, repr=False)
class DetectionArrays(DetectionMethods):
    """The detections of one image as numpy arrays, best first: what an exported detector returns where PyTorch is not loaded.

    Iterating and indexing work as for :class:`detkit.Detections`, which holds tensors.

    Attributes:
        boxes: ``(N, 4)`` float32 ``x1 y1 x2 y2``.
        scores: ``(N,)`` float32 in [0, 1].
        labels: ``(N,)`` int64, 0 to K - 1.
        class_names: The K names of the classes; None for a class without a name.
        mask_probabilities: ``(N, M, M)`` float32; see :class:`detkit.Detections`.
        masks: The pixels of each object in the image.
    """

    boxes: Floats
    scores: Floats
    labels: Integers
    class_names: tuple[str | None, ...] | None = None
    mask_probabilities: Floats | None = None
    masks: Masks | None = None

    def __post_init__(self) -> None:
        count = len(self.boxes)
        for name in _OPTIONAL:
            if (column := getattr(self, name)) is not None and len(column) != count:
                raise ValueError(f"DetectionArrays.{name}: expected one value for each of {count} rows, got {len(column)}")
        for name, shape, dtype in (("boxes", (count, 4), "float32"), ("scores", (count,), "float32"), ("labels", (count,), "int64")):
            value = getattr(self, name)
            if value.shape != shape or value.dtype != dtype:
                raise ValueError(f"DetectionArrays.{name}: expected {shape} of {dtype}, got {value.shape} of {value.dtype}")

    def __len__(self) -> int:
        return len(self.boxes)

    @overload
    def __getitem__(self, index: int) -> Detection: ...

    @overload
    def __getitem__(self, index: ArrayIndex) -> DetectionArrays: ...

    def __getitem__(self, index: int | ArrayIndex) -> Detection | DetectionArrays:
        """Return one detection, or those that a mask, an index array, a list of row numbers or a slice selects.

        Raises:
            IndexError: If there is no such row.
        """
        if not isinstance(index, slice | list) and np.ndim(index) == 0:
            return self.one(int(index))
        optional = {name: column[index] for name in _OPTIONAL if (column := getattr(self, name)) is not None}
        return replace(self, boxes=self.boxes[index], scores=self.scores[index], labels=self.labels[index], **optional)

    def replace(self, **values: Any) -> DetectionArrays:
        """Return a copy with new values for some fields."""
        return replace(self, **values)

    def numpy(self) -> DetectionArrays:
        """Return the detections themselves."""
        return self

    @classmethod
    def cat(cls, rows: Sequence[DetectionArrays]) -> DetectionArrays:
        """Concatenate detections of one image, in order.

        Rows without masks have none afterwards.

        Raises:
            ValueError: If some of the parts that have rows have probabilities of masks, and others have none.
        """
        columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in rows]) for name in ("boxes", "scores", "labels")}
        counts = [len(part) for part in rows]
        grids = given_parts([part.mask_probabilities for part in rows], counts, "mask_probabilities")
        masks = filled_parts([part.masks for part in rows], counts, Masks)
        grid = np.concatenate(grids) if grids else None
        return rows[0].replace(**columns, mask_probabilities=grid, masks=Masks.cat(masks) if masks else None)


def _rounded(box: Sequence[float]) -> list[float]:
    return [round(value, 4) for value in box]


def _require(package: str, method: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError:
        raise ImportError(f"Detections.{method}() needs the package {package}, which is not installed: pip install {package}") from None
