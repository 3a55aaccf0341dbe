"""Batches of samples, stored by column, and their transfer from worker processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from detkit.data.dataset import Sample
from detkit.data.records import ImageId
from detkit.structures import Proposals, Rows, Targets
from detkit.structures.columns import to_array, to_tensor


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

    def packed(self) -> PackedBatch:
        """Return the batch with its images in one block of shared memory; one block per tensor would take a file descriptor each.

        Raises:
            RuntimeError: If there is too little shared memory.
        """
        pixels = sum(image.numel() for image in self.images)
        block: Tensor = torch.empty(pixels, dtype=torch.uint8).share_memory_()  # type: ignore[no-untyped-call]
        start = 0
        for image in self.images:
            block[start : start + image.numel()].view(image.shape).copy_(image)
            start += image.numel()
        columns = {
            **self._columns(),
            "images": tuple(tuple(image.shape) for image in self.images),
            "targets": _PackedRows.of(self.targets, Targets),
            "proposals": None if self.proposals is None else _PackedRows.of(self.proposals, Proposals),
        }
        return PackedBatch(block, columns)

    def _columns(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, eq=False)
class PackedBatch:
    """A batch as a worker process sends it.

    Attributes:
        block: The pixels of all images, in shared memory.
        columns: The other columns of the batch, and the shapes of the images.
    """

    block: Tensor
    columns: dict[str, Any]

    def unpacked(self) -> SampleBatch:
        """Return the batch; its images stay in the shared memory."""
        shapes, proposals = self.columns["images"], self.columns["proposals"]
        parts = torch.split(self.block, [int(np.prod(shape)) for shape in shapes])
        return SampleBatch(
            **{
                **self.columns,
                "images": tuple(part.view(shape) for part, shape in zip(parts, shapes, strict=True)),
                "targets": self.columns["targets"].unpacked(),
                "proposals": None if proposals is None else proposals.unpacked(),
            }
        )

    def pin_memory(self) -> SampleBatch:
        """Return the batch with images in page-locked memory; called by PyTorch's loader."""
        return self.unpacked().pin_memory()


@dataclass(frozen=True)
class _PackedRows:
    """Rows of several images: their number for each image, and their concatenated columns as arrays, which are sent by value."""

    kind: type[Rows]
    lengths: tuple[int, ...]
    columns: dict[str, Any]

    @classmethod
    def of(cls, tables: Sequence[Rows], kind: type[Rows]) -> _PackedRows:
        kind = type(tables[0]) if tables else kind
        combined = kind.cat(tables)
        return cls(kind, tuple(map(len, tables)), {name: to_array(getattr(combined, name)) for name in kind.columns})

    def unpacked(self) -> tuple[Any, ...]:
        split = {name: _split(value, self.lengths) for name, value in self.columns.items()}
        return tuple(self.kind(**{name: parts[index] for name, parts in split.items()}) for index in range(len(self.lengths)))


def _split(value: Any, lengths: Sequence[int]) -> Sequence[Any]:
    if value is None:
        return [None] * len(lengths)
    if isinstance(value, np.ndarray):
        return torch.split(to_tensor(value), list(lengths))
    ends = np.cumsum(lengths).tolist()
    return [value[end - length : end] for end, length in zip(ends, lengths, strict=True)]
