"""Unlabeled images, or labeled ones whose labels are ignored, for a student that learns them from a teacher."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from detkit.data.media.files import files_below
from detkit.data.media.images import IMAGE_EXTENSIONS, image_size
from detkit.data.readers import BOX_READERS
from detkit.data.records import DetectionData, ImageRecord, Records
from detkit.data.report import ReadIssue, ReadReport
from detkit.data.sources import SourceConfig, existing_path, read_source, with_split
from detkit.structures import Targets


def load_unlabeled(sources: Sequence[SourceConfig], known: Sequence[DetectionData] = ()) -> list[DetectionData]:
    """Load the images of each source, without boxes and classes.

    Args:
        sources: Folders, which are searched recursively for images; or labeled data in a known format, of which the split
            ``train`` is used unless another is set.
        known: The labeled data of the same run; images that are in it are skipped, so that no validation image is trained on.

    Raises:
        FileNotFoundError: If a path does not exist; the message ends with the command that downloads the data, if known.
        ValueError: If there is no usable image.
    """
    if not sources:
        return []  # resolving the links in a million paths takes half a minute
    used = {os.path.realpath(path) for data in known for path in data.records.paths}
    loaded = []
    for source in sources:
        data = _read(source)
        kept = [index for index, path in enumerate(data.records.paths) if os.path.realpath(path) not in used]
        if not kept:
            raise ValueError(f"unlabeled images {source.path}: all {len(data)} are training or validation images already; remove it")
        skipped = len(data) - len(kept)
        name = f"{data.name}, without {skipped} training or validation images" if skipped else data.name
        loaded.append(data.take(kept, name))
        used |= {os.path.realpath(path) for path in loaded[-1].records.paths}
    return loaded


def append_unlabeled(
    labeled: DetectionData, unlabeled: Sequence[DetectionData]
) -> tuple[DetectionData, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Append the unlabeled images to the labeled data; also return which images are labeled, ``(M,)`` bool."""
    flags = np.arange(len(labeled) + sum(map(len, unlabeled))) < len(labeled)
    records = Records.cat([labeled.records, *(data.records for data in unlabeled)])
    return replace(labeled, records=records, coco_file=None), flags


def _read(source: SourceConfig) -> DetectionData:
    path = existing_path(source)
    if source.split is None and not any(reader.recognizes(path) for reader in BOX_READERS):
        return _read_folder(path)
    data = read_source(with_split(source, "train"))
    records = data.records.where(np.zeros(len(data.records.labels), np.bool_))
    return DetectionData(data.name, (), (), records, data.report)


def _read_folder(folder: Path) -> DetectionData:
    report, rows = ReadReport(str(folder)), []
    for path in _images(folder):
        name = path.relative_to(folder).as_posix()
        try:
            rows.append(ImageRecord(path, name, image_size(path), Targets.empty()))
        except ValueError as error:
            report.add(ReadIssue.UNREADABLE_IMAGE, name, detail=str(error))
    if not rows:
        raise ValueError(
            f"unlabeled images {folder}: expected a folder with images in it or below it ({', '.join(IMAGE_EXTENSIONS[:5])} ...), "
            f"got none{' that can be read' if report.counts else ''}"
        )
    return DetectionData(str(folder), (), (), Records.of(rows), report)


def _images(folder: Path) -> Iterator[Path]:
    """Return every image in or below a folder, in the same order on every machine."""
    paths = [folder] if folder.is_file() else sorted(files_below(folder))
    return (path for path in paths if path.suffix.lower() in IMAGE_EXTENSIONS and path.is_file())
