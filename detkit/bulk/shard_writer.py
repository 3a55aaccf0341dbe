"""The file of one shard, written in parts, so that a shard that was stopped continues where it was."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from detkit.bulk.arrow import parquet
from detkit.bulk.arrow import pyarrow as pa
from detkit.bulk.listing import row_name
from detkit.bulk.rows import SCHEMA, ImageRow, to_table, upgraded
from detkit.bulk.shard_info import KEY, NotAShardError, ShardInfo
from detkit.checkpoint.atomic import atomic_write
from detkit.checkpoint.folder_lock import FolderLock
from detkit.checkpoint.temporary import remove_stale_temporaries

ROWS_OF_GROUP = 16_384
"""Rows of a row group: what a reader, and the merging of shards, hold in memory at a time."""
PARTS = ".parts"
"""Ending of the folder with the parts of an unfinished shard."""
_PART = "part-{:012d}.parquet"


@dataclass
class Progress:
    """Numbers of images.

    Attributes:
        done: Images whose rows are written.
        failed: Those that could not be read.
    """

    done: int = 0
    failed: int = 0

    def add(self, table: Any) -> None:
        """Count the rows of a table."""
        self.done += table.num_rows
        self.failed += table.num_rows - table["error"].null_count


class ShardWriter:
    """Context manager that writes the rows of a shard in order; inside it, no other process writes the same shard.

    Rows are written as part files, each atomically. A shard that is begun again keeps them. When all rows are there, they become one
    file, and the parts are removed: the file of a shard either is complete or does not exist.

    Args:
        folder: Folder of all shards.
        info: Properties of the shard; :attr:`ShardInfo.images` is the number of its images.
        part_images: Number of images after which a part is written.
        part_seconds: Time after which it is.

    Attributes:
        path: The file of the shard.
        progress: Numbers of the images whose rows are written.
    """

    def __init__(self, folder: Path, info: ShardInfo, *, part_images: int = 1000, part_seconds: float = 60.0) -> None:
        self.path = folder / f"{info.shard.stem}.parquet"
        self.progress = Progress()
        self._parts = folder / f"{info.shard.stem}{PARTS}"
        self._info = info
        self._schema = SCHEMA.with_metadata({KEY: info.to_json().encode()})
        self._part_images, self._part_seconds = part_images, part_seconds
        self._rows: list[ImageRow] = []
        self._written = time.monotonic()
        self._lock: FolderLock | None = None

    def __enter__(self) -> Self:
        self._parts.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(self._parts)
        self._lock.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._lock is not None:
            self._lock.__exit__(kind, error, trace)
        with contextlib.suppress(OSError):  # there are parts
            self._parts.rmdir()

    def resume(self, paths: Sequence[str]) -> Progress:
        """Return what was written before; all rows if the shard is complete.

        Args:
            paths: The images of the shard, in order.

        Raises:
            ValueError: If it was written with another model, other settings or from other images.
        """
        remove_stale_temporaries(self.path.parent, self._parts)
        if self.path.exists():
            self._check(parquet.read_schema(self.path).metadata, self.path)
            for table in read_rows(self.path, ["error"]):
                self.progress.add(table)
            return self.progress
        for path in sorted(self._parts.glob("part-*.parquet")):
            table = self._read_part(path)
            expected = paths[self.progress.done : self.progress.done + (0 if table is None else table.num_rows)]
            if table is None or table["image"].to_pylist() != [row_name(name) for name in expected]:
                path.unlink()  # damaged, or after a damaged one: its images are processed again
            else:
                self.progress.add(table)
        return self.progress

    def _read_part(self, path: Path) -> Any:
        """Return the names and errors of a part; None if it is damaged."""
        try:
            table = parquet.read_table(path, columns=["image", "error"])
        except (pa.ArrowException, OSError):
            return None
        self._check(table.schema.metadata, self._parts)
        return table

    def _check(self, metadata: Any, path: Path) -> None:
        try:
            differences = list(ShardInfo.from_metadata(metadata, str(path)).differences(self._info))
        except NotAShardError as error:
            raise ValueError(f"{error}; give another --output, or remove it") from None
        if differences:
            raise ValueError(f"{path}: {'; '.join(differences)}; give another --output, or remove it to detect again")

    def add(self, row: ImageRow) -> bool:
        """Take the next row, and return whether a part was written."""
        self._rows.append(row)
        is_full = len(self._rows) >= self._part_images or time.monotonic() - self._written >= self._part_seconds
        return self.flush() if is_full else False

    def flush(self) -> bool:
        """Write the rows that were taken since the last part as a new one; return whether there were any."""
        self._written = time.monotonic()
        if not self._rows:
            return False
        table = to_table(self._rows, self._info.class_names)
        with atomic_write(self._parts / _PART.format(self.progress.done)) as temporary:
            parquet.write_table(table.cast(self._schema), temporary, compression="zstd")
        self.progress.add(table)
        self._rows = []
        return True

    def finish(self) -> None:
        """Write the file of the shard from its parts, and remove them.

        Raises:
            RuntimeError: If rows are missing.
        """
        self.flush()
        if self.progress.done != self._info.images:
            raise RuntimeError(f"{self.path}: {self.progress.done} rows, expected {self._info.images}; run the command again")
        if not self.path.exists():
            tables = (upgraded(parquet.read_table(path)) for path in sorted(self._parts.glob("part-*.parquet")))
            write_rows(self.path, tables, self._info)
        for path in self._parts.glob("part-*.parquet"):
            path.unlink()


def write_rows(path: Path, tables: Iterator[Any], info: ShardInfo) -> None:
    """Write the rows of tables as one file of results, atomically; its bytes do not depend on how the rows are divided into tables."""
    schema = SCHEMA.with_metadata({KEY: info.to_json().encode()})
    with atomic_write(path) as temporary, parquet.ParquetWriter(temporary, schema, compression="zstd") as writer:
        rest = SCHEMA.empty_table()
        for table in tables:
            rest = pa.concat_tables([rest, table.replace_schema_metadata(None)])
            while rest.num_rows >= ROWS_OF_GROUP:
                writer.write_table(rest.slice(0, ROWS_OF_GROUP).cast(schema).combine_chunks(), row_group_size=ROWS_OF_GROUP)
                rest = rest.slice(ROWS_OF_GROUP)
        if rest.num_rows:
            writer.write_table(rest.cast(schema).combine_chunks(), row_group_size=ROWS_OF_GROUP)


def read_rows(path: Path, columns: Sequence[str] | None = None) -> Iterator[Any]:
    """Yield the rows of a file of results, of any version, as tables of one row group each."""
    with parquet.ParquetFile(path) as file:
        for index in range(file.num_row_groups):
            yield upgraded(file.read_row_group(index)) if columns is None else file.read_row_group(index, columns=list(columns))
