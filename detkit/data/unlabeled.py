"""Images that nobody labeled, or whose labels shall not be used: a teacher tells a student about them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from detkit.data.files import files_below
from detkit.data.images import IMAGE_ENDINGS, image_size
from detkit.data.readers import BOX_READERS
from detkit.data.records import DetectionData, ImageRecord, Records
from detkit.data.report import ReadReport, Remark
from detkit.data.sources import SourceConfig, existing, read_source, with_split
from detkit.structures import Targets


def load_unlabeled(sources: Sequence[SourceConfig], known: Sequence[DetectionData] = ()) -> list[DetectionData]:
    """The images of each source, without boxes and classes.

    Args:
        sources: Folders, in which and below which every image is taken; or labeled data in a format of ours, of which the part
            ``train`` is taken unless another is named.
        known: The labeled data of the same run; images that are among these are left out, so that none is validated on that was
            learned from.

    Raises:
        FileNotFoundError: there is nothing at a path; the line ends with the command that gets it, if one is known.
        ValueError: there is no image that can be used.
    """
    taken = {os.path.realpath(path) for data in known for path in data.records.paths}
    found = []
    for source in sources:
        data = _read(source)
        kept = [place for place, path in enumerate(data.records.paths) if os.path.realpath(path) not in taken]
        if not kept:
            raise ValueError(f"unlabeled images {source.path}: all {len(data)} are training or validation images already; leave it out")
        left_out = len(data) - len(kept)
        name = f"{data.name}, without {left_out} training or validation images" if left_out else data.name
        found.append(data.take(kept, name))
        taken |= {os.path.realpath(path) for path in found[-1].records.paths}
    return found


def joined_records(
    labeled: DetectionData, unlabeled: Sequence[DetectionData]
) -> tuple[DetectionData, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """The labeled data with the other images behind, and which images are labeled, ``(M,)``."""
    flags = np.arange(len(labeled) + sum(map(len, unlabeled))) < len(labeled)
    records = Records.joined([labeled.records, *(data.records for data in unlabeled)])
    return replace(labeled, records=records, coco_file=None), flags


def _read(source: SourceConfig) -> DetectionData:
    path = existing(source)
    if source.split is None and not any(reader.recognizes(path) for reader in BOX_READERS):
        return _folder(path)
    data = read_source(with_split(source, "train"))
    records = data.records.where(np.zeros(len(data.records.labels), np.bool_))
    return DetectionData(data.name, (), (), records, data.report)


def _folder(folder: Path) -> DetectionData:
    report, rows = ReadReport(str(folder)), []
    for path in _images(folder):
        name = path.relative_to(folder).as_posix()
        try:
            rows.append(ImageRecord(path, name, image_size(path), Targets.empty()))
        except ValueError as error:
            report.add(Remark.UNREADABLE_IMAGE, name, detail=str(error))
    if not rows:
        raise ValueError(
            f"unlabeled images {folder}: expected a folder with images in it or below it ({', '.join(IMAGE_ENDINGS[:5])} ...), "
            f"found none{' that can be read' if report.counts else ''}"
        )
    return DetectionData(str(folder), (), (), Records.of(rows), report)


def _images(folder: Path) -> Iterator[Path]:
    """Every image in or below a folder, in the same order on every machine."""
    paths = [folder] if folder.is_file() else sorted(files_below(folder))
    return (path for path in paths if path.suffix.lower() in IMAGE_ENDINGS and path.is_file())
