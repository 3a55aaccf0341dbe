"""Check that the shards of a run are all there, and merge their rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from detkit.bulk.arrow import compute, parquet
from detkit.bulk.arrow import pyarrow as pa
from detkit.bulk.shard import Shard
from detkit.bulk.shard_info import NotAShardError, ShardInfo
from detkit.bulk.shard_writer import PARTS, read_rows, write_rows
from detkit.data.media.files import check_regular

_SHOWN = 3
"""Images that a message lists."""
_ORDER = [("image", "ascending")]


@dataclass(frozen=True)
class MergedShards:
    """The files of all shards of one run, which were checked.

    Attributes:
        paths: The files, by shard.
        infos: What they record.
        problems: What is missing or does not belong together, one line each; empty if the shards can be merged.
        failed: Number of images that could not be read.
        detections: Number of detections.
    """

    paths: tuple[Path, ...]
    infos: tuple[ShardInfo, ...]
    problems: tuple[str, ...]
    failed: int = 0
    detections: int = 0

    @property
    def images(self) -> int:
        """Number of images."""
        return sum(info.images for info in self.infos)

    @property
    def info(self) -> ShardInfo:
        """Properties of the merged results: those of shard 0/1."""
        first = self.infos[0]
        machines = [info.machine for info in self.infos]
        machine = {key: ", ".join(sorted({row[key] for row in machines if key in row})) for key in first.machine}
        return replace(first, shard=Shard(0, 1), images=self.images, machine=machine)

    def tables(self) -> Iterator[Any]:
        """Yield the rows of all shards as tables of :data:`detkit.bulk.rows.SCHEMA`, ordered by the names of the images.

        Of each shard one row group is held at a time, so that memory does not depend on the number of images.
        """
        readers = [_rows_of(path) for path in self.paths]
        heads = [next(reader, None) for reader in readers]
        while any(head is not None for head in heads):
            # The smallest of the last names that were read: up to it, no shard has rows that are still to be read.
            bound = min(head["image"][-1].as_py() for head in heads if head is not None)
            ready = []
            for index, head in enumerate(heads):
                if head is None:
                    continue
                count = compute.sum(compute.less_equal(head["image"], bound)).as_py() or 0
                ready.append(head.slice(0, count).replace_schema_metadata(None))
                rest = head.slice(count)
                heads[index] = rest if rest.num_rows else next(readers[index], None)
            yield _sorted(pa.concat_tables(ready))

    def write(self, path: str | Path) -> None:
        """Write all rows as one Parquet file, atomically: the same file as that of shard 0/1 but for the machine that it records."""
        write_rows(Path(path), self.tables(), self.info)


_DAMAGED = (pa.ArrowException, OSError, ValueError, LookupError, TypeError)
"""Errors of pyarrow for a damaged file, and of columns that are missing or of another type."""


def _rows_of(path: Path) -> Iterator[Any]:
    try:
        yield from read_rows(path)
    except _DAMAGED as error:
        raise ValueError(f"{path}: {_damage(error)}") from None


def _damage(error: Exception) -> str:
    return f"damaged ({' '.join(str(error).split())[:200]}); remove it and run its `detkit detect --shard` again"


def _sorted(table: Any) -> Any:
    return table.take(compute.sort_indices(table, sort_keys=_ORDER))


def check_shards(folder: str | Path) -> MergedShards:
    """Read what the shards in a folder record, and all of their rows' names, and find what is missing or does not belong together.

    Args:
        folder: Folder of the shards, all files in it that end in ``.parquet``.

    Raises:
        FileNotFoundError: If there is no such folder, or no Parquet file in it.
    """
    paths = sorted(Path(folder).glob("*.parquet"))
    unfinished = sorted(path for path in Path(folder).glob(f"*{PARTS}") if path.is_dir())
    if not paths and not unfinished:
        raise FileNotFoundError(f"{folder}: expected a folder with Parquet files of `detkit detect --shard`, got none")
    problems: list[str] = []
    read = [(path, info) for path in paths if (info := _info_of(path, problems)) is not None]
    if not read:
        return MergedShards((), (), (*problems, *_missing(None, set(), unfinished)))
    model = _usual([info for _, info in read])
    chosen: dict[Shard, tuple[Path, ShardInfo]] = {}
    for path, info in read:
        differences = list(info.differences(model))
        problems += [f"{path}: {difference}" for difference in differences]
        if not differences and info.shard in chosen:
            problems.append(f"{path}: shard {info.shard} again, it is also in {chosen[info.shard][0]}; remove one of them")
        elif not differences:
            chosen[info.shard] = path, info
    problems += _missing(model, set(chosen), unfinished)
    rows = [chosen[shard] for shard in sorted(chosen)]
    return _counted(rows, problems)


def _info_of(path: Path, problems: list[str]) -> ShardInfo | None:
    try:
        check_regular(path)
        return ShardInfo.from_metadata(parquet.read_schema(path).metadata, str(path))
    except NotAShardError as error:
        problems.append(str(error))
    except _DAMAGED as error:
        problems.append(f"{path}: {_damage(error)}")
    return None


def _usual(infos: Sequence[ShardInfo]) -> ShardInfo:
    """Return one of the largest group of files that belong together, with which the others are compared."""
    groups = Counter(_group(info) for info in infos)
    largest = max(groups, key=lambda group: groups[group])
    return next(info for info in infos if _group(info) == largest)


def _group(info: ShardInfo) -> tuple[object, ...]:
    return info.shard.count, info.model_sha256, info.class_names, str(sorted(info.settings.items())), info.listed, info.listing


def _missing(model: ShardInfo | None, there: set[Shard], unfinished: Sequence[Path]) -> list[str]:
    """Return a line for each shard that is unfinished or missing."""
    lines, begun = [], set()
    for folder in unfinished:
        if not any(folder.glob("part-*.parquet")) or folder.with_name(folder.name.removesuffix(PARTS) + ".parquet").exists():
            continue
        begun.add(folder.name.removesuffix(PARTS))
        lines.append(f"{folder}: the shard is unfinished; run its `detkit detect --shard` again")
    for index in range(0 if model is None else model.shard.count):
        shard = Shard(index, model.shard.count) if model is not None else Shard(0, 1)
        if shard not in there and shard.stem not in begun:
            lines.append(f"shard {shard} is missing; run `detkit detect ... --shard {shard}`")
    return lines


def _counted(rows: Sequence[tuple[Path, ShardInfo]], problems: list[str]) -> MergedShards:
    """Check the rows of files and count them."""
    failed = detections = 0
    for path, info in rows:
        images, last, problem = 0, None, None
        try:
            for table in read_rows(path, ["image", "scores", "error"]):
                names = table["image"].to_pylist()
                problem = problem or _wrong_names(names, last, info.shard)
                images, last = images + len(names), names[-1] if names else last
                failed += len(names) - table["error"].null_count
                detections += compute.sum(compute.list_value_length(table["scores"])).as_py() or 0
        except _DAMAGED as error:
            problem = _damage(error)
        if problem is None and images != info.images:
            problem = f"{images:,} rows, expected {info.images:,}; remove it and run its `detkit detect --shard` again"
        problems += [f"{path}: {problem}"] if problem else []
    paths, infos = tuple(path for path, _ in rows), tuple(info for _, info in rows)
    return MergedShards(paths, infos, tuple(problems), failed, detections)


def _wrong_names(names: Sequence[str], last: str | None, shard: Shard) -> str | None:
    """Return what is wrong with the names of consecutive rows: repeated, out of order, or of another shard; None if nothing is."""
    twice = [name for before, name in zip([last, *names], names, strict=False) if before == name]
    if twice:
        return f"duplicate images: {', '.join(twice[:_SHOWN])}"
    if any(before is not None and before > name for before, name in zip([last, *names], names, strict=False)):
        return "its rows are not in order; it was changed after `detkit detect` wrote it"
    strange = [name for name in names if not shard.has(name)]
    return f"images of another shard: {', '.join(strange[:_SHOWN])}; it was changed after `detkit detect` wrote it" if strange else None
