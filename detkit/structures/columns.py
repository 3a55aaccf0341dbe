"""Columns of rows: what one value per row is, and how it follows when the image is resized, moved or cropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from detkit.structures.masks import Masks
from detkit.structures.parts import filled_parts, given_parts
from detkit.structures.segmentations import Segmentations

Kind = torch.dtype | type[Segmentations] | type[Masks]
Follows = Literal["nothing", "boxes", "area"]


@dataclass(frozen=True)
class Column:
    """The declaration of one column, the only place where it is described; rows, tables and batches treat all columns alike.

    Attributes:
        dtype: Element type of a tensor with one value per row; :class:`Segmentations` for outlines as labeled or :class:`Masks`, which are
            no tensors and may be None.
        shape: Shape of one value; -1 for a side of any length.
        optional: Whether the tensor may be None.
        default: Value of rows for which a source gives none.
        follows: What a value follows when the image changes. ``boxes``: ``x1 y1 x2 y2``, scaled, shifted and clipped. ``area``: square
            pixels, multiplied by the scale and by the fraction of the box that is still visible; without a value, the area of the box.
            ``nothing``: kept.
    """

    dtype: Kind
    shape: tuple[int, ...] = ()
    default: float = 0
    follows: Follows = "nothing"
    optional: bool = False

    def check(self, value: Any, count: int, name: str) -> None:
        """Check the shape and type of the values of ``count`` rows.

        Raises:
            TypeError: If the element type differs.
            ValueError: If the shape differs.
        """
        if value is None and self.may_be_none:
            return
        if not isinstance(self.dtype, torch.dtype):
            if len(value) != count:
                raise ValueError(f"{name}: expected one value for each of {count} rows, got {len(value)}")
            return
        expected = (count, *self.shape)
        if len(value.shape) != len(expected) or any(side not in (got, -1) for side, got in zip(expected, value.shape, strict=True)):
            raise ValueError(f"{name}: expected shape {expected}, got {tuple(value.shape)}")
        if value.dtype != self.dtype:
            raise TypeError(f"{name}: expected {self.dtype}, got {value.dtype}")

    @property
    def may_be_none(self) -> bool:
        """Whether the column may be absent."""
        return self.optional or not isinstance(self.dtype, torch.dtype)

    def blank(self, count: int, device: torch.device | str | None = None) -> Any:
        """Return the default value of ``count`` rows."""
        if self.may_be_none or not isinstance(self.dtype, torch.dtype):
            return None
        return torch.full((count, *self.shape), self.default, dtype=self.dtype, device=device)

    def blank_array(self, count: int) -> Any:
        """Return the default value of ``count`` rows as a NumPy array."""
        value = self.blank(count)
        return None if value is None else value.numpy()

    def cat(self, values: Sequence[Any], counts: Sequence[int], name: str = "the column") -> Any:
        """Concatenate the values of several groups of rows, with the number of rows of each.

        Raises:
            ValueError: If an optional tensor is there in some groups, and missing in others that have rows.
        """
        if not isinstance(self.dtype, torch.dtype):
            kind: Any = self.dtype
            filled = filled_parts(values, counts, kind)
            return kind.cat(filled) if filled else None
        given = given_parts(values, counts, name)
        if not given:
            return None
        return np.concatenate(given) if isinstance(given[0], np.ndarray) else torch.cat(given)

    def resized(self, value: Any, x: float, y: float, area: float) -> Any:
        """Return the values for an image that is ``x`` times as wide, ``y`` times as high, and has ``area`` times the area."""
        if isinstance(value, Masks):
            return value.resized(x, y)
        if self.follows == "boxes":
            return value * value.new_tensor([x, y, x, y])
        return value * area if self.follows == "area" else value


def column(
    dtype: Kind, shape: tuple[int, ...] = (), *, default: float = 0, follows: Follows = "nothing", optional: bool = False
) -> MappingProxyType[str, Column]:
    """Declare a field of rows as a column: ``labels: Tensor = field(metadata=column(torch.int64))``; see :class:`Column`."""
    return MappingProxyType({"column": Column(dtype, shape, default, follows, optional)})


def declared(namespace: Mapping[str, Any]) -> dict[str, Column]:
    """Return the columns that are declared in the body of a class, before it becomes a dataclass."""
    fields = {name: value for name, value in namespace.items() if isinstance(value, Field)}
    return {name: value.metadata["column"] for name, value in fields.items() if "column" in value.metadata}


def select(value: Any, index: Any) -> Any:
    """Return the values of the rows selected by ``index``; an absent column stays absent."""
    return None if value is None else value[index]


def to_array(value: Any) -> Any:
    """Return a tensor as a NumPy array on the CPU; other values are returned unchanged."""
    return value.cpu().numpy() if isinstance(value, Tensor) else value


def to_tensor(value: Any) -> Any:
    """Return a NumPy array as a tensor that shares its memory; other values are returned unchanged."""
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value
