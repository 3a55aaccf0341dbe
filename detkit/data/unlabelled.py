"""Pictures that nobody labelled, or whose labels shall not be used: a teacher tells a student about them."""

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


def load_unlabelled(sources: Sequence[SourceConfig], known: Sequence[DetectionData] = ()) -> list[DetectionData]:
    """The pictures of each source, without boxes and classes.

    Args:
        sources: Folders, in which and below which every picture is taken; or labelled data in a format of ours, of which the part
            ``train`` is taken unless another is named.
        known: The labelled data of the same run; pictures that are among these are left out, so that none is validated on that was
            learnt from.

    Raises:
        FileNotFoundError: there is nothing at a path; the line ends with the command that gets it, if one is known.
        ValueError: there is no picture that can be used.
    """
    taken = {os.path.realpath(path) for data in known for path in data.records.paths}
    found = []
    for source in sources:
        data = _read(source)
        kept = [place for place, path in enumerate(data.records.paths) if os.path.realpath(path) not in taken]
        if not kept:
            raise ValueError(
                f"unlabelled pictures {source.path}: all {len(data)} are training or validation pictures already; leave it out"
            )
        left_out = len(data) - len(kept)
        name = f"{data.name}, without {left_out} training or validation pictures" if left_out else data.name
        found.append(data.take(kept, name))
        taken |= {os.path.realpath(path) for path in found[-1].records.paths}
    return found


def joined_records(
    labelled: DetectionData, unlabelled: Sequence[DetectionData]
) -> tuple[DetectionData, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """The labelled data with the other pictures behind, and which pictures are labelled, ``(M,)``."""
    flags = np.arange(len(labelled) + sum(map(len, unlabelled))) < len(labelled)
    records = Records.joined([labelled.records, *(data.records for data in unlabelled)])
    return replace(labelled, records=records, coco_file=None), flags


def _read(source: SourceConfig) -> DetectionData:
    path = existing(source)
    if source.split is None and not any(reader.recognises(path) for reader in BOX_READERS):
        return _folder(path)
    data = read_source(with_split(source, "train"))
    records = data.records.where(np.zeros(len(data.records.labels), np.bool_))
    return DetectionData(data.name, (), (), records, data.report)


def _folder(folder: Path) -> DetectionData:
    report, rows = ReadReport(str(folder)), []
    for path in _pictures(folder):
        name = path.relative_to(folder).as_posix()
        try:
            rows.append(ImageRecord(path, name, image_size(path), Targets.empty()))
        except ValueError as error:
            report.add(Remark.UNREADABLE_IMAGE, name, detail=str(error))
    if not rows:
        raise ValueError(
            f"unlabelled pictures {folder}: expected a folder with pictures in it or below it ({', '.join(IMAGE_ENDINGS[:5])} ...), "
            f"found none{' that can be read' if report.counts else ''}"
        )
    return DetectionData(str(folder), (), (), Records.of(rows), report)


def _pictures(folder: Path) -> Iterator[Path]:
    """Every picture in or below a folder, in the same order on every machine."""
    paths = [folder] if folder.is_file() else sorted(files_below(folder))
    return (path for path in paths if path.suffix.lower() in IMAGE_ENDINGS and path.is_file())
