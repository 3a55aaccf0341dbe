"""Batches of samples, stored by column, and their transfer from worker processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from detkit.data.dataset import Sample
from detkit.data.records import ImageId
from detkit.structures import Proposals, Rows, Targets

R = TypeVar("R", bound=Rows)


@dataclass(frozen=True, eq=False)
class SampleBatch:
    """The samples of one step, stored by column.

    Attributes:
        images: ``(3, H, W)`` uint8 RGB tensors of any sizes.
        targets: The objects of each image.
        paths: The file of each image.
        image_ids: The id of each image in its data set.
        seeds: The seed of each sample.
        proposals: The proposals of each image, or None.
        is_labeled: Whether each image is labeled.
    """

    images: tuple[Tensor, ...]
    targets: tuple[Targets, ...]
    paths: tuple[str, ...]
    image_ids: tuple[ImageId, ...]
    seeds: tuple[int, ...]
    proposals: tuple[Proposals, ...] | None = None
    is_labeled: tuple[bool, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> SampleBatch:
        """Build the batch from samples."""
        proposals = [sample.proposals for sample in samples if sample.proposals is not None]
        return cls(
            images=tuple(sample.image for sample in samples),
            targets=tuple(sample.targets for sample in samples),
            paths=tuple(sample.path for sample in samples),
            image_ids=tuple(sample.image_id for sample in samples),
            seeds=tuple(sample.seed for sample in samples),
            proposals=tuple(proposals) if proposals and len(proposals) == len(samples) else None,
            is_labeled=tuple(sample.is_labeled for sample in samples),
        )

    def pin_memory(self) -> SampleBatch:
        """Return the batch with images in page-locked memory, from which a GPU copies while it computes."""
        return SampleBatch(**{**self._columns(), "images": tuple(image.pin_memory() for image in self.images)})

    def __reduce__(self) -> tuple[Callable[..., SampleBatch], tuple[Any, ...]]:
        """Pickle the images as one block of shared memory; one block per tensor would take a file descriptor each."""
        pixels = sum(image.numel() for image in self.images)
        block: Tensor = torch.empty(pixels, dtype=torch.uint8).share_memory_()  # type: ignore[no-untyped-call]
        start = 0
        for image in self.images:
            block[start : start + image.numel()].view(image.shape).copy_(image)
            start += image.numel()
        packed = {
            **self._columns(),
            "images": tuple(tuple(image.shape) for image in self.images),
            "targets": _packed(self.targets),
            "proposals": None if self.proposals is None else _packed(self.proposals),
        }
        return _unpacked_batch, (block, packed)

    def _columns(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _unpacked_batch(block: Tensor, packed: dict[str, Any]) -> SampleBatch:
    shapes = packed["images"]
    parts = torch.split(block, [int(np.prod(shape)) for shape in shapes])
    return SampleBatch(
        **{
            **packed,
            "images": tuple(part.view(shape) for part, shape in zip(parts, shapes, strict=True)),
            "targets": _unpacked(Targets, *packed["targets"]),
            "proposals": None if packed["proposals"] is None else _unpacked(Proposals, *packed["proposals"]),
        }
    )


def _packed(tables: Sequence[Rows]) -> tuple[list[int], dict[str, np.ndarray[Any, Any]]]:
    """Return the number of rows of each table, and the concatenated columns as arrays, which are sent by value."""
    combined = type(tables[0]).cat(tables) if tables else Rows.empty()
    return [len(rows) for rows in tables], {field.name: getattr(combined, field.name).numpy() for field in fields(combined)}


def _unpacked(kind: type[R], lengths: list[int], columns: dict[str, np.ndarray[Any, Any]]) -> tuple[R, ...]:
    split = {name: torch.split(torch.from_numpy(column), lengths) for name, column in columns.items()}
    return tuple(kind(**{name: parts[index] for name, parts in split.items()}) for index in range(len(lengths)))
