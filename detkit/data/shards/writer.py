"""Writing of shards: each tar file whole or not at all, the index last; a run that was stopped goes on where it was."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from detkit.about import __version__
from detkit.checkpoint.atomic import atomic_write, write_text
from detkit.checkpoint.folder_lock import NAME as LOCK
from detkit.checkpoint.folder_lock import FolderLock
from detkit.checkpoint.temporary import remove_stale_temporaries
from detkit.data.media.files import read_regular
from detkit.data.records import DetectionData
from detkit.data.shards.arrow import arrow
from detkit.data.shards.manifest import (
    FILE,
    UNFINISHED,
    AnnotationsEntry,
    FileEntry,
    Manifest,
    ShardEntry,
    SplitEntry,
    parse_manifest,
    to_json,
)
from detkit.data.shards.plan import PlannedShard, fingerprint, plan_shards, prefix
from detkit.data.shards.reader import report_rows
from detkit.data.shards.samples import image_names, sample_json, texts_of
from detkit.data.shards.table import ShardTable, id_type, write_tables
from detkit.data.shards.tar import TarWriter
from detkit.data.storage.cache import digest_of, digest_of_file
from detkit.data.storage.files import local_copy
from detkit.data.storage.retries import StorageError

Progress = Callable[[int, int], None]
"""Called with the number of images written so far, and the number of all."""

WORK, STATE = UNFINISHED.split("/")
"""Folder of the state of a run that has not ended, and its file."""


@dataclass(frozen=True)
class WrittenShards:
    """A set of shards that was written.

    Attributes:
        manifest: What it holds.
        resumed: Number of tar files of an earlier, interrupted run that were kept.
    """

    manifest: Manifest
    resumed: int


def write_shards(
    parts: Mapping[str, DetectionData], folder: str | Path, megabytes: float, progress: Progress | None = None, *, annotations: bool = True
) -> WrittenShards:
    """Write data as shards into a new folder, or go on with what an interrupted run of the same data left there.

    Args:
        parts: The splits by name; an empty name for data that is not divided. Their order is that of the images in the shards.
        folder: The folder.
        megabytes: Size of a shard, in units of 10^6 bytes; an image larger than that is a shard of its own.
        progress: Called after each image.
        annotations: Whether the COCO file that labels come from is copied, so that COCO's metrics are computed on the numbers in it.

    Raises:
        FileExistsError: If the folder holds anything else.
        FileNotFoundError, ValueError: If an image cannot be read.
        ImportError: If pyarrow is not installed.
        WriteError: If the disk is full, or the folder cannot be written.
    """
    arrow()
    folder, plan = Path(folder), plan_shards(parts, megabytes)
    mark = fingerprint(parts, megabytes, annotations=annotations)
    _check_folder(folder, mark)
    (folder / WORK).mkdir(parents=True, exist_ok=True)
    with FolderLock(folder / WORK):
        remove_stale_temporaries(folder, folder / WORK)
        write_text(folder / WORK / STATE, json.dumps({"fingerprint": mark}))
        splits = [_Split(split, data, image_names(data.records)) for split, data in parts.items()]
        rows = _write_all(folder, {split.name: split for split in splits}, plan, progress)
        of_split = {split.name: [pair for pair in zip(plan, rows, strict=True) if pair[0].split == split.name] for split in splits}
        entries = {split.name: _write_split(folder, split, of_split[split.name], annotations) for split in splits}
        text = to_json(Manifest(detkit=__version__, splits=entries))
        write_text(folder / FILE, text)
    shutil.rmtree(folder / WORK)
    return WrittenShards(parse_manifest(text.encode(), str(folder / FILE)), sum(row.resumed for row in rows))


@dataclass(frozen=True, eq=False)
class _Split:
    """A split to write, with the names of its images."""

    name: str
    data: DetectionData
    image_names: Sequence[str]


@dataclass(frozen=True)
class _FinishedShard:
    """A tar file that is complete: its entry, and start, length and digest of each image."""

    entry: ShardEntry
    members: Sequence[tuple[int, int, str]]
    resumed: bool = False


_Written = tuple[PlannedShard, _FinishedShard]


def _write_all(folder: Path, splits: Mapping[str, _Split], plan: Sequence[PlannedShard], progress: Progress | None) -> list[_FinishedShard]:
    """Write the tar files that are not finished, and return all."""
    finished = [_read_finished(folder, shard) for shard in plan]
    done = sum(shard.count for shard, row in zip(plan, finished, strict=True) if row is not None)
    total = sum(shard.count for shard in plan)
    rows = []
    for shard, row in zip(plan, finished, strict=True):
        if row is None:
            report = None if progress is None else partial(_report, progress, done, total)
            row = _write_shard(folder, shard, splits[shard.split], report)
            done += shard.count
        rows.append(row)
    return rows


def _report(progress: Progress, before: int, total: int, done: int) -> None:
    progress(before + done, total)


def _check_folder(folder: Path, mark: str) -> None:
    """Check that a folder is new, or holds an interrupted run of the same data.

    Raises:
        FileExistsError: If not.
    """
    if not folder.exists() or (folder.is_dir() and not any(path.name != LOCK for path in folder.iterdir())):
        return
    try:
        saved = json.loads((folder / WORK / STATE).read_text("utf-8"))["fingerprint"]
    except (OSError, ValueError, LookupError, TypeError):
        raise FileExistsError(f"{folder}: it exists and is not empty; nothing is overwritten: give a new folder") from None
    if saved != mark:
        raise FileExistsError(
            f"{folder}: it holds unfinished shards of other data, or with other options; give a new folder, or remove this one"
        )


def _read_finished(folder: Path, shard: PlannedShard) -> _FinishedShard | None:
    """Return a tar file that an earlier run completed; None if there is none."""
    try:
        row = json.loads((folder / WORK / f"{shard.file}.json").read_text("utf-8"))
        entry = ShardEntry.model_validate_json(json.dumps(row["entry"]))
        whole = os.stat(folder / shard.file).st_size == entry.bytes and len(row["members"]) == shard.count
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return _FinishedShard(entry, [tuple(member) for member in row["members"]], resumed=True) if whole else None


def _write_shard(folder: Path, shard: PlannedShard, split: _Split, report: Callable[[int], None] | None) -> _FinishedShard:
    records, members = split.data.records, []
    with atomic_write(folder / shard.file) as temporary:
        with TarWriter(temporary) as tar:
            for done, index in enumerate(range(shard.first, shard.first + shard.count), 1):
                content, name = _read_image(records.paths[index]), split.image_names[index]
                start = tar.add(f"{index:09}{os.path.splitext(name)[1].lower() or '.bin'}", content)
                tar.add(f"{index:09}.json", sample_json(records, index, name, split.data.class_names))
                members.append((start, len(content), digest_of(content)))
                if report is not None:
                    report(done)
        entry = ShardEntry(file=shard.file, bytes=tar.bytes, digest=tar.digest, images=shard.count)
    write_text(folder / WORK / f"{shard.file}.json", json.dumps({"entry": json.loads(entry.to_json()), "members": members}))
    return _FinishedShard(entry, members)


def _read_image(path: str) -> bytes:
    try:
        return read_regular(path)
    except OSError as error:
        if isinstance(error, StorageError) or error.strerror is None:
            raise
        raise FileNotFoundError(f"{path}: the image cannot be read ({error.strerror}); was it moved?") from None


def _write_split(folder: Path, split: _Split, shards: Sequence[_Written], annotations: bool) -> SplitEntry:
    """Write the labels of a split and return what it holds."""
    data = split.data
    return SplitEntry(
        images=len(data),
        boxes=len(data.records.labels),
        class_names=data.class_names,
        category_ids=data.category_ids,
        is_classification=data.is_classification,
        labels=_write_labels(folder, split, shards),
        annotations=_copy_annotations(folder, split) if annotations else None,
        shards=tuple(row.entry for _, row in shards),
        report=report_rows(data.report),
        report_details={issue.name.lower(): detail for issue, detail in data.report.details.items()},
        report_checked=data.report.checked,
    )


def _write_labels(folder: Path, split: _Split, shards: Sequence[_Written]) -> FileEntry:
    path, records = folder / f"{prefix(split.name)}.parquet", split.data.records
    tables = (_table(split, number, shard, row) for number, (shard, row) in enumerate(shards))
    with atomic_write(path) as temporary:
        write_tables(temporary, tables, id_type(records.image_ids), records.segmentations is not None)
    return _entry(path)


def _table(split: _Split, number: int, shard: PlannedShard, row: _FinishedShard) -> ShardTable:
    records = split.data.records
    images = slice(shard.first, shard.first + shard.count)
    offsets = records.offsets[shard.first : shard.first + shard.count + 1]
    objects = slice(int(offsets[0]), int(offsets[-1]))
    starts, lengths, digests = zip(*row.members, strict=True)
    columns: dict[str, Any] = {name: value[objects] for name, value in records.columns.items() if isinstance(value, np.ndarray)}
    return ShardTable(
        records.image_ids[images],
        split.image_names[images],
        records.sizes[images],
        np.full(shard.count, number, np.int64),
        np.array(starts, np.int64),
        np.array(lengths, np.int64),
        [bytes.fromhex(digest) for digest in digests],
        offsets - offsets[0],
        columns,
        texts_of(records.segmentations, objects),
    )


def _copy_annotations(folder: Path, split: _Split) -> AnnotationsEntry | None:
    """Copy the COCO file of a split, in which metrics look up the numbers as published."""
    source = split.data.coco_file
    if source is None:
        return None
    path = folder / f"{prefix(split.name)}.coco.json"
    with atomic_write(path) as temporary:
        shutil.copyfile(local_copy(source.path), temporary)
    entry = _entry(path)
    labels = {str(category): label for category, label in sorted(source.labels.items())}
    return AnnotationsEntry(file=entry.file, bytes=entry.bytes, digest=entry.digest, labels=labels, ignored=tuple(sorted(source.ignored)))


def _entry(path: Path) -> FileEntry:
    return FileEntry(file=path.name, bytes=path.stat().st_size, digest=digest_of_file(path))
