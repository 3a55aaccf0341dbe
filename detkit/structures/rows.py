"""Rows about one image: tensors of equal length that are indexed, moved and concatenated together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self, TypeGuard

import numpy as np
import torch
from torch import Tensor

from detkit.structures.columns import Column, declared, select
from detkit.structures.masks import Masks

Index = Tensor | slice | list[int]


def is_number(index: Any) -> TypeGuard[int]:
    """Whether an index selects a single row: a whole number, or a tensor or array of one without a dimension."""
    if isinstance(index, (Tensor, np.generic, np.ndarray)):
        return index.ndim == 0 and not str(index.dtype).endswith("bool")
    return isinstance(index, int)


@dataclass(frozen=True, eq=False)
class Rows:
    """Base class of the row types; ``boxes`` are ``(N, 4)`` float32 ``x1 y1 x2 y2`` in absolute, continuous pixels.

    A subclass declares each column once, with :func:`~detkit.structures.columns.column`; everything else here, the tables of data sets,
    augmentation and batches follow from the declaration. The constructor checks shapes and dtypes only, because checking values would
    synchronize a GPU and break ``torch.export``. Call :meth:`checked` on rows from untrusted input.
    """

    columns: ClassVar[Mapping[str, Column]] = {"boxes": Column(torch.float32, (4,), follows="boxes")}

    boxes: Tensor

    def __init_subclass__(cls) -> None:
        cls.columns = {**cls.columns, **declared(vars(cls))}

    def __post_init__(self) -> None:
        name = type(self).__name__
        for key, value in self.columns.items():
            value.check(getattr(self, key), len(self.boxes), f"{name}.{key}")

    @classmethod
    def filled(cls, boxes: Tensor, **columns: Any) -> Self:
        """Create rows from their boxes and some columns; the others get their default, and areas are those of the boxes."""
        values = {"boxes": boxes, **columns}
        for name, value in cls.columns.items():
            if values.get(name) is None:
                sides = boxes[:, 2:] - boxes[:, :2]
                values[name] = sides[:, 0] * sides[:, 1] if value.follows == "area" else value.blank(len(boxes), boxes.device)
        return cls(**values)

    def _with(self, columns: dict[str, Any]) -> Self:
        """Return a copy with new values for some fields; other fields are kept."""
        return replace(self, **columns)

    @classmethod
    def empty(cls, device: torch.device | str | None = None) -> Self:
        """Return zero rows, for an image without objects."""
        return cls(**{name: value.blank(0, device) for name, value in cls.columns.items()})

    @classmethod
    def cat(cls, rows: Sequence[Self]) -> Self:
        """Concatenate rows about the same image, in order; an empty sequence gives empty rows."""
        if not rows:
            return cls.empty()
        counts = [len(row) for row in rows]
        return rows[0]._with(
            {name: value.cat([getattr(row, name) for row in rows], counts, name) for name, value in rows[0].columns.items()}
        )

    def __len__(self) -> int:
        return self.boxes.shape[0]

    def __getitem__(self, index: Index) -> Self:
        """Return the rows selected by a mask, an index tensor, a list of row numbers or a slice; a slice shares memory."""
        if is_number(index):
            expected = "a mask, an index tensor, a list of rows or a slice"
            raise TypeError(f"{type(self).__name__}[{index}]: expected {expected}, got a number; use [[{index}]]")
        return self._with({name: select(getattr(self, name), index) for name in self.columns})

    @property
    def device(self) -> torch.device:
        """Device of the tensors."""
        return self.boxes.device

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """Return the rows on another device."""
        tensors = {name: value for name in self.columns if isinstance(value := getattr(self, name), Tensor)}
        return self.replace(**{name: value.to(device, non_blocking=non_blocking) for name, value in tensors.items()})

    def replace(self, **values: Any) -> Self:
        """Return a copy with new values for some fields.

        Raises:
            TypeError: If there is no such field.
        """
        names = [field.name for field in fields(self)]
        if unknown := values.keys() - set(names):
            raise TypeError(f"{type(self).__name__} has no field {', '.join(sorted(unknown))}; its fields are {', '.join(names)}")
        return self._with(values)

    def resized(self, size: tuple[float, float], new_size: tuple[float, float]) -> Self:
        """Return the rows scaled as an image resized from ``size`` to ``new_size``, both ``(height, width)``."""
        y, x, area = new_size[0] / size[0], new_size[1] / size[1], new_size[0] / size[0] * new_size[1] / size[1]
        return self.replace(**{name: value.resized(getattr(self, name), x, y, area) for name, value in self.columns.items()})

    def moved(self, boxes: Tensor, kept: Tensor) -> Self:
        """Return the rows with other boxes, of which the fraction ``kept``, ``(N,)``, of the object is still visible."""
        areas = {name: getattr(self, name) * kept for name, value in self.columns.items() if value.follows == "area"}
        return self.replace(boxes=boxes, **areas)

    def with_masks(self, change: Callable[[Masks], Masks]) -> Self:
        """Return the rows with changed masks, if they have any."""
        masks = {name: change(value) for name in self.columns if isinstance(value := getattr(self, name), Masks)}
        return self.replace(**masks) if masks else self

    def checked(self, num_classes: int | None = None, source: str = "rows") -> Self:
        """Check the values and return ``self``: finite boxes, ``x2 >= x1``, ``y2 >= y1``, labels below ``num_classes``.

        Raises:
            ValueError: If a value is invalid; the message names ``source`` and, for a box, the first invalid row.
        """
        boxes = self.boxes
        valid = torch.isfinite(boxes).all(1) & (boxes[:, 2] >= boxes[:, 0]) & (boxes[:, 3] >= boxes[:, 1])
        if not bool(valid.all()):
            row = int((~valid).nonzero()[0])
            raise ValueError(f"{source}: box {row}: expected finite x1 y1 x2 y2 with x2 >= x1 and y2 >= y1, got {boxes[row].tolist()}")
        labels = getattr(self, "labels", None)
        if labels is not None and num_classes is not None and len(labels):
            low, high = int(labels.min()), int(labels.max())
            if low < 0 or high >= num_classes:
                invalid = low if low < 0 else high
                expected_range = f"expected 0 to {num_classes - 1} for {num_classes} classes; map the data's classes by name"
                raise ValueError(f"{source}: label {invalid}: {expected_range}")
        return self
