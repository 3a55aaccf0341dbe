"""Rows about one image: tensors of equal length that are indexed, moved and concatenated together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

Index = Tensor | slice | list[int]


@dataclass(frozen=True, eq=False)
class Rows:
    """Base class of the row types; ``boxes`` are ``(N, 4)`` float32 ``x1 y1 x2 y2`` in absolute, continuous pixels.

    The constructor checks shapes and dtypes only, because checking values would synchronize a GPU and break ``torch.export``. Call
    :meth:`checked` on rows from untrusted input.
    """

    boxes: Tensor

    _dtypes: ClassVar[dict[str, torch.dtype]] = {"boxes": torch.float32}

    def __post_init__(self) -> None:
        name = type(self).__name__
        for field, dtype in self._dtypes.items():
            value = getattr(self, field)
            expected = (len(self.boxes), 4) if field == "boxes" else (len(self.boxes),)
            if tuple(value.shape) != expected:
                raise ValueError(f"{name}.{field}: expected shape {expected}, got {tuple(value.shape)}")
            if value.dtype != dtype:
                raise TypeError(f"{name}.{field}: expected {dtype}, got {value.dtype}")

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        """Names of the fields that have one value per row."""
        return tuple(cls._dtypes)

    def _with(self, columns: dict[str, Any]) -> Self:
        """Return a copy with new values for some fields; other fields are kept."""
        return replace(self, **columns)

    @classmethod
    def empty(cls, device: torch.device | str | None = None) -> Self:
        """Return zero rows, for an image without objects."""
        shapes = {name: (0, 4) if name == "boxes" else (0,) for name in cls._names()}
        return cls(**{name: torch.zeros(shapes[name], dtype=cls._dtypes[name], device=device) for name in cls._names()})

    @classmethod
    def cat(cls, rows: Sequence[Self]) -> Self:
        """Concatenate rows about the same image, in order; an empty sequence gives empty rows."""
        if not rows:
            return cls.empty()
        return rows[0]._with({name: torch.cat([getattr(row, name) for row in rows]) for name in cls._names()})

    def __len__(self) -> int:
        return self.boxes.shape[0]

    def __getitem__(self, index: Index) -> Self:
        """Return the rows selected by a mask, an index tensor, a list of row numbers or a slice; a slice shares memory."""
        if isinstance(index, int):
            expected = "a mask, an index tensor, a list of rows or a slice"
            raise TypeError(f"{type(self).__name__}[{index}]: expected {expected}, got a number; use [[{index}]]")
        return self._with({name: getattr(self, name)[index] for name in self._names()})

    @property
    def device(self) -> torch.device:
        """Device of the tensors."""
        return self.boxes.device

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """Return the rows on another device."""
        return self.replace(**{n: getattr(self, n).to(device, non_blocking=non_blocking) for n in self._names()})

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
        y, x = new_size[0] / size[0], new_size[1] / size[1]
        return self.replace(boxes=self.boxes * self.boxes.new_tensor([x, y, x, y]))

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
