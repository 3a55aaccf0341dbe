"""Which images go into which shard: known before anything is written, so that an interrupted run goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detkit.data.records import DetectionData
from detkit.data.shards.manifest import VERSION
from detkit.data.storage import door
from detkit.data.storage.addresses import is_address
from detkit.data.storage.files import stored_length

MEGABYTES = 256
"""Usual size of a shard."""
_OVERHEAD, _OBJECT = 2048, 80
"""Bytes of headers, paddings and JSON for an image, and of the JSON for an object, about."""
_PREFIX = "images"
"""Prefix of the files of data that is not divided."""


@dataclass(frozen=True)
class PlannedShard:
    """A tar file to write.

    Attributes:
        split: Name of the split, empty if the data is not divided.
        file: Name of the file.
        first: Index of its first image in the split.
        count: Number of its images.
    """

    split: str
    file: str
    first: int
    count: int


def prefix(split: str) -> str:
    """Return the beginning of the names of a split's files."""
    return split or _PREFIX


def plan_shards(parts: Mapping[str, DetectionData], megabytes: float) -> list[PlannedShard]:
    """Divide the images of each split, in their order, among shards of at most about ``megabytes`` 10^6 bytes.

    Raises:
        FileNotFoundError, ValueError: If an image is missing, or is a part of a file.
    """
    planned = []
    for split, data in parts.items():
        if data.records.windows is not None:
            raise ValueError(f"{data.name}: its images are parts of files; cut them into files first: detkit data tile")
        stored = np.array(file_lengths(data.records.paths), np.int64) + _OVERHEAD + _OBJECT * data.records.lengths
        starts = _starts(stored.tolist(), megabytes * 1e6)
        for number, (first, end) in enumerate(zip(starts, [*starts[1:], len(data)], strict=True)):
            planned.append(PlannedShard(split, f"{prefix(split)}-{number:06}.tar", first, end - first))
    return planned


def file_lengths(paths: Sequence[str]) -> list[int]:
    """Return the number of bytes of each image file.

    Raises:
        FileNotFoundError: If one is missing.
    """
    return [_length(path) for path in paths]


def _length(path: str) -> int:
    length = stored_length(path)
    if length is not None:
        return length
    if is_address(path):
        return door.size(path) or 0
    try:
        return os.stat(path).st_size
    except OSError as error:
        raise FileNotFoundError(f"{path}: the image cannot be read ({error.strerror}); was it moved?") from None


def _starts(lengths: Sequence[int], limit: float) -> list[int]:
    starts, total = [0], 0
    for index, length in enumerate(lengths):
        if total and total + length > limit:
            starts.append(index)
            total = 0
        total += length
    return starts if lengths else []


def fingerprint(parts: Mapping[str, DetectionData], megabytes: float, *, annotations: bool) -> str:
    """Return a digest of all that determines the shards, by which a run that goes on recognizes its own."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([VERSION, megabytes, annotations]).encode())
    for split, data in parts.items():
        records = data.records
        digest.update(repr((split, data.class_names, data.category_ids, data.is_classification)).encode("utf-8", "surrogatepass"))
        for path, image_id in zip(records.paths, records.image_ids, strict=True):
            digest.update(f"{path} {image_id!r} {_changed(path)}\n".encode("utf-8", "surrogatepass"))
        arrays = [records.sizes, records.offsets, *(value for value in records.columns.values() if isinstance(value, np.ndarray))]
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
