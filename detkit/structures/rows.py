"""Rows about one image: tensors of one length that are indexed, moved and joined together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

Index = Tensor | slice | list[int]


@dataclass(frozen=True, eq=False)
class Rows:
    """Base of the row types; ``boxes`` are ``(N, 4)`` float32 ``x1 y1 x2 y2`` in absolute, continuous pixels.

    Construction checks shape and dtype only. Checking values would synchronize a GPU and break ``torch.export``;
    call :meth:`checked` where the rows come from outside.
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
        return tuple(field.name for field in fields(cls))

    @classmethod
    def empty(cls, device: torch.device | str | None = None) -> Self:
        """Rows about an image with nothing in it."""
        shapes = {name: (0, 4) if name == "boxes" else (0,) for name in cls._names()}
        return cls(**{name: torch.zeros(shapes[name], dtype=cls._dtypes[name], device=device) for name in cls._names()})

    @classmethod
    def cat(cls, rows: Sequence[Self]) -> Self:
        """Join rows about the same image, in order; an empty sequence gives empty rows."""
        if not rows:
            return cls.empty()
        return cls(**{name: torch.cat([getattr(row, name) for row in rows]) for name in cls._names()})

    def __len__(self) -> int:
        return self.boxes.shape[0]

    def __getitem__(self, index: Index) -> Self:
        """The rows that a mask, an index tensor, a list of row numbers or a slice chooses; a slice shares memory."""
        return type(self)(**{name: getattr(self, name)[index] for name in self._names()})

    @property
    def device(self) -> torch.device:
        """Where the rows lie."""
        return self.boxes.device

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """The same rows on another device."""
        return self.replace(**{n: getattr(self, n).to(device, non_blocking=non_blocking) for n in self._names()})

    def replace(self, **values: Any) -> Self:
        """A copy with some fields exchanged.

        Raises:
            TypeError: there is no such field.
        """
        if unknown := values.keys() - set(self._names()):
            raise TypeError(f"{type(self).__name__} has no field {', '.join(sorted(unknown))}; its fields are {', '.join(self._names())}")
        return type(self)(**{name: values.get(name, getattr(self, name)) for name in self._names()})

    def resized(self, size: tuple[float, float], new_size: tuple[float, float]) -> Self:
        """The rows after the image was resized from ``size`` to ``new_size``, both ``(height, width)``."""
        y, x = new_size[0] / size[0], new_size[1] / size[1]
        return self.replace(boxes=self.boxes * self.boxes.new_tensor([x, y, x, y]))

    def checked(self, num_classes: int | None = None, source: str = "rows") -> Self:
        """Itself, after its values were checked: finite boxes, ``x2 >= x1``, ``y2 >= y1``, labels below ``num_classes``.

        Raises:
            ValueError: names ``source``, the first bad row, what was expected and what was found.
        """
        boxes = self.boxes
        good = torch.isfinite(boxes).all(1) & (boxes[:, 2] >= boxes[:, 0]) & (boxes[:, 3] >= boxes[:, 1])
        if not bool(good.all()):
            row = int((~good).nonzero()[0])
            raise ValueError(f"{source}: box {row}: expected finite x1 y1 x2 y2 with x2 >= x1 and y2 >= y1, got {boxes[row].tolist()}")
        labels = getattr(self, "labels", None)
        if labels is not None and num_classes is not None and len(labels):
            low, high = int(labels.min()), int(labels.max())
            if low < 0 or high >= num_classes:
                wrong = low if low < 0 else high
                classes = f"expected 0 to {num_classes - 1} for {num_classes} classes; map the data's classes by name"
                raise ValueError(f"{source}: label {wrong}: {classes}")
        return self
