"""Shards as a labeled data set: the records of the source, whose images are members of tar files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic_core import from_json

from detkit.data.readers.protocol import ReadOptions, resolve_split
from detkit.data.records import CocoFile, DetectionData, Records
from detkit.data.report import ReadIssue, ReadReport
from detkit.data.shards.index import ShardIndex, whole
from detkit.data.shards.manifest import UNDIVIDED, SplitEntry, folder_name, has_manifest, read_manifest
from detkit.data.shards.table import TEXTS, ShardTable, Texts
from detkit.data.storage.addresses import shown
from detkit.structures import Segmentations, Targets


class ShardReader:
    """A folder or an address with ``shards.json``, which ``detkit data shard`` writes."""

    name = "shards"
    kind = "shards"
    expects = "a folder, or an address such as s3://bucket/shards, with a shards.json, written by detkit data shard"

    def recognizes(self, path: Path) -> bool:
        """Return whether it is a folder with ``shards.json``, or an address."""
        return has_manifest(path)

    def splits(self, path: Path) -> tuple[str, ...]:
        """Return the names of the splits; empty if the data is not divided."""
        return tuple(name for name in read_manifest(path).splits if name != UNDIVIDED)

    def read(self, path: Path, options: ReadOptions) -> DetectionData:
        """Read one split; see :class:`detkit.data.readers.protocol.Reader`."""
        if options.images is not None:
            raise ValueError(f"{shown(path)}: shards contain their own images; remove images={options.images}")
        manifest = read_manifest(path)
        split = resolve_split(path, options.split, [name for name in manifest.splits if name != UNDIVIDED]) or UNDIVIDED
        index = ShardIndex.of(path, manifest, split)
        name = shown(folder_name(path)) + (f" ({split})" if split else "")
        entry = index.split
        return DetectionData(
            name,
            entry.class_names,
            entry.category_ids,
            _records(index),
            _report(entry, name),
            _coco_file(index.folder, entry),
            is_classification=entry.is_classification,
        )


@dataclass(frozen=True, eq=False)
class StoredTexts:
    """Segmentations as JSON text in memory, parsed when they are asked for.

    Attributes:
        data: UTF-8 bytes of all of them.
    """

    data: npt.NDArray[np.uint8]

    def stored(self, start: int, length: int) -> Any:
        """See :class:`~detkit.structures.segmentations.SegmentationSource`."""
        return from_json(self.data[start : start + length].tobytes())

    def compacted(self, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> tuple[StoredTexts, npt.NDArray[np.int64]]:
        """See :class:`~detkit.structures.segmentations.SegmentationSource`."""
        new_starts = np.cumsum(lengths) - lengths
        rows = np.arange(int(lengths.sum())) + np.repeat(starts - new_starts, lengths)
        return StoredTexts(self.data[rows]), new_starts

    def are_masks(self, starts: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """See :class:`~detkit.structures.segmentations.SegmentationSource`; run lengths begin with a brace."""
        return np.asarray(self.data[starts] == ord("{"))


def _records(index: ShardIndex) -> Records:
    table = index.table
    unknown = sorted(table.columns.keys() - Targets.columns.keys())
    if unknown:
        raise ValueError(f"{shown(index.folder)}: the labels have a column {unknown[0]!r} that this detkit does not know: update detkit")
    return Records(
        tuple(index.paths()),
        tuple(table.image_ids),
        table.sizes,
        table.offsets,
        {name: _column(table, name) for name in Targets.columns},
    )


def _column(table: ShardTable, name: str) -> Any:
    """Return the values of a column in its type, or the default where an older version had no such column."""
    count = int(table.offsets[-1])
    if name == TEXTS:
        return _segmentations(table.texts, count)
    column, value = Targets.columns[name], table.columns.get(name)
    if value is None or not isinstance(column.dtype, torch.dtype):
        return column.blank_array(count)
    dtype = torch.empty(0, dtype=column.dtype).numpy().dtype
    return value.astype(dtype, copy=False).reshape(count, *(value.shape[1:] if count else column.shape))


def _segmentations(texts: Texts | None, count: int) -> Segmentations | None:
    if texts is None or not count:
        return None
    return Segmentations.of(StoredTexts(texts.data), texts.starts, texts.lengths)


def _report(entry: SplitEntry, name: str) -> ReadReport:
    report = ReadReport(name, entry.report_checked)
    known = {issue.name.lower(): issue for issue in ReadIssue}
    report.counts |= {known[kind]: Counter(files) for kind, files in entry.report.items() if kind in known}
    report.details |= {known[kind]: detail for kind, detail in entry.report_details.items() if kind in known}
    return report


def _coco_file(folder: str, entry: SplitEntry) -> CocoFile | None:
    if entry.annotations is None:
        return None
    labels = {int(category): label for category, label in entry.annotations.labels.items()}
    return CocoFile(whole(folder, entry.annotations), labels, frozenset(entry.annotations.ignored))


def report_rows(report: ReadReport, most: int = 100) -> dict[str, dict[str, int]]:
    """Return the counts of a report by kind and file; beyond ``most`` files of a kind, the others are counted as one."""
    rows = {}
    for issue, counts in report.counts.items():
        files: Sequence[tuple[str, int]] = sorted(counts.items())
        rest = sum(count for _, count in files[most:])
        rows[issue.name.lower()] = dict(files[:most]) | ({f"{len(files) - most:,} other files": rest} if rest else {})
    return dict(sorted(rows.items()))
