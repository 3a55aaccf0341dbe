"""Fingerprints of a run's data, so that a resumed run notices images and labels that changed since."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from detkit.data.storage.cache import digest_of_file
from detkit.data.storage.files import stored_digest, stored_length

if TYPE_CHECKING:
    from detkit.data import DetectionData

_log = logging.getLogger(__name__)

HASHED_BYTES = 200e6
"""Image files of at most this size in total are compared by their content, larger data by the sizes of the files."""


@dataclass(frozen=True)
class DataFingerprint:
    """What identifies a set of labeled images, wherever its folder is.

    Attributes:
        images: Number of images.
        boxes: Number of labeled boxes.
        ids: Hash of the image ids in order.
        labels: Hash of the classes and of all boxes with their labels.
        files: Hash of the content or of the sizes of the image files.
    """

    images: int
    boxes: int
    ids: str
    labels: str
    files: str

    @classmethod
    def of(cls, data: DetectionData) -> Self:
        """Return the fingerprint of data; a missing file has an empty content."""
        records = data.records
        columns = [records.offsets, records.boxes, records.labels, records.is_crowd, records.is_difficult]
        if records.is_ignore.any():  # otherwise the fingerprint is that of earlier versions
            columns.append(records.is_ignore)
        labels = [repr(data.class_names).encode(), *(np.ascontiguousarray(column).tobytes() for column in columns)]
        ids = (f"{type(image_id).__name__} {image_id}\n".encode("utf-8", "surrogatepass") for image_id in records.image_ids)
        return cls(len(data), len(records.labels), _digest(ids), _digest(labels), _digest(_contents(records.paths)))

    def changes(self, saved: DataFingerprint) -> str:
        """Return what differs from an earlier fingerprint of the same data, in words; empty if nothing does."""
        if self.images != saved.images:
            return f"{saved.images} images became {self.images}"
        if self.ids != saved.ids:
            return f"{self.images} images as before, but other ones or in another order"
        if self.boxes != saved.boxes:
            return f"{saved.boxes} boxes became {self.boxes}"
        if self.labels != saved.labels:
            return f"{self.boxes} boxes as before, but boxes, classes or flags differ"
        return "the content of image files" if self.files != saved.files else ""


def check_data(folder: Path, data: Mapping[str, DataFingerprint], saved: Mapping[str, Any]) -> None:
    """Compare the data with that of the run to resume; states of earlier versions recorded none.

    Files whose content changed are logged, as a damaged image may have been replaced, and so is other validation data.

    Args:
        folder: The folder of the run.
        data: Fingerprints of the present data by its use.
        saved: Those of the run.

    Raises:
        ValueError: If the images or the labels of the training differ.
    """
    for use in data.keys() & saved.keys():
        before = DataFingerprint(**saved[use])
        changes = data[use].changes(before)
        if not changes:
            continue
        if use == "validation data":
            _log.warning("warning: the %s changed since the run was saved: %s; earlier metrics are of other data", use, changes)
        elif (data[use].ids, data[use].labels) == (before.ids, before.labels):
            _log.warning("warning: the %s changed since the run was saved: %s; the run does not continue exactly", use, changes)
        else:
            raise ValueError(
                f"resume {folder}: the {use} changed since the run was saved: {changes}; restore the data, or start a new run on the new "
                f"data with weights={folder / 'last.safetensors'}"
            )


def _contents(paths: Iterable[str]) -> Iterable[bytes]:
    paths = tuple(dict.fromkeys(paths))
    sizes = [_size(path) for path in paths]
    if sum(sizes) > HASHED_BYTES:
        return (f"{size}\n".encode() for size in sizes)
    return (f"{_digest_of_file(path)}\n".encode() for path in paths)


def _size(path: str) -> int:
    length = stored_length(path)
    if length is not None:
        return length
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _digest_of_file(path: str) -> str:
    """Return the digest of a file; that of a member of a shard is in its index, and is the same as that of the file it was."""
    digest = stored_digest(path)
    if digest is not None:
        return digest
    try:
        return digest_of_file(Path(path))
    except OSError:
        return ""


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
