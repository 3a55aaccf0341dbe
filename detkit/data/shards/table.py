"""The Parquet file of a split: a row for each image with its place in the shards, and the columns of its objects as lists.

Reading needs numpy and pyarrow, not torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from detkit.data.media.files import check_regular
from detkit.data.shards.arrow import arrow
from detkit.data.shards.manifest import VERSION
from detkit.data.storage.addresses import DIGEST_BYTES

VERSION_KEY = b"detkit.shards.version"
"""Key of the schema's metadata with its version."""
TEXTS = "segmentations"
"""Column of segmentations in COCO's form, as JSON text; null where there is none."""
ImageId = int | str


@dataclass(frozen=True, eq=False)
class Texts:
    """A text for each of ``N`` objects, as one array of bytes.

    Attributes:
        data: UTF-8 bytes of all texts.
        starts: ``(N,)`` int64 first byte of each.
        lengths: ``(N,)`` int64 number of bytes; 0: none.
    """

    data: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ShardTable:
    """The index and the labels of ``M`` images with ``N`` objects.

    Attributes:
        image_ids: Ids as published.
        names: Paths in the image folder of the source, with forward slashes.
        sizes: ``(M, 2)`` int64 ``height width``.
        shards: ``(M,)`` int64 index of the tar file of each image.
        starts: ``(M,)`` int64 its first byte there.
        lengths: ``(M,)`` int64 its number of bytes.
        digests: BLAKE2b digests of the bytes.
        offsets: ``(M + 1,)`` int64; the objects of image ``i`` are ``offsets[i]:offsets[i + 1]``.
        columns: Values of all objects by name, ``(N,)`` or ``(N, k)``.
        texts: Segmentations; None if no object has one.
    """

    image_ids: Sequence[ImageId]
    names: Sequence[str]
    sizes: npt.NDArray[np.int64]
    shards: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    digests: Sequence[bytes]
    offsets: npt.NDArray[np.int64]
    columns: Mapping[str, npt.NDArray[Any]]
    texts: Texts | None = None

    def __len__(self) -> int:
        return len(self.names)


def write_tables(path: Path, tables: Iterator[ShardTable], ids: str, has_texts: bool) -> None:
    """Write a Parquet file with a row group for each table.

    Args:
        path: The new file.
        tables: The tables, at least one.
        ids: Type of the image ids: ``int64`` or ``string``.
        has_texts: Whether some object has a segmentation.

    Raises:
        ImportError: If pyarrow is not installed.
        ValueError: If a name or an id is not valid text.
    """
    _, parquet = arrow()
    writer = None
    try:
        for table in tables:
            rows = _to_arrow(table, ids, has_texts)
            writer = writer or parquet.ParquetWriter(str(path), rows.schema, compression="zstd")
            writer.write_table(rows, row_group_size=max(1, len(table)))
    finally:
        if writer is not None:
            writer.close()


def read_table(path: str | Path) -> ShardTable:
    """Read a Parquet file of shards.

    Raises:
        ImportError: If pyarrow is not installed.
        ValueError: If it is not one, or of a newer version.
    """
    pyarrow, parquet = arrow()
    check_regular(path)
    try:
        rows = parquet.ParquetFile(str(path), memory_map=True).read()  # parquet.read_table would import pandas
        version = int((rows.schema.metadata or {})[VERSION_KEY])
        if version > VERSION:
            raise ValueError(f"labels of version {version}; this detkit reads up to version {VERSION}: update detkit")
        return _from_arrow(rows.combine_chunks())
    except (pyarrow.ArrowException, OSError, LookupError, ValueError, TypeError, AttributeError) as error:
        detail = " ".join(str(error).split())[:300]
        raise ValueError(f"{path}: not the labels of shards, or damaged ({detail}); write or copy the shards again") from None


def id_type(image_ids: Sequence[ImageId]) -> str:
    """Return the type of a column of image ids.

    Raises:
        ValueError: If some ids are numbers and others text, or a number is too large.
    """
    if all(isinstance(image_id, str) for image_id in image_ids):
        return "string"
    if all(isinstance(image_id, int) and -(2**63) <= image_id < 2**63 for image_id in image_ids):
        return "int64"
    raise ValueError("the ids of the images are numbers and texts; expected one of the two: write the data as COCO first")


_FIXED = ("image_id", "name", "height", "width", "shard", "start", "length", "digest", "objects")


def _to_arrow(table: ShardTable, ids: str, has_texts: bool) -> Any:
    pyarrow, _ = arrow()
    lists = pyarrow.array(table.offsets - table.offsets[0], pyarrow.int64())
    try:
        values: dict[str, Any] = {
            "image_id": pyarrow.array(list(table.image_ids), pyarrow.type_for_alias(ids)),
            "name": pyarrow.array(list(table.names), pyarrow.string()),
        }
    except UnicodeEncodeError as error:
        raise ValueError(f"the name or id {error.object!r} is not valid text; rename the image") from None
    values |= {"height": pyarrow.array(table.sizes[:, 0]), "width": pyarrow.array(table.sizes[:, 1])}
    values |= {"shard": pyarrow.array(table.shards), "start": pyarrow.array(table.starts), "length": pyarrow.array(table.lengths)}
    values["digest"] = pyarrow.array(list(table.digests), pyarrow.binary(DIGEST_BYTES))
    values["objects"] = pyarrow.array(np.diff(table.offsets))
    for name, column in table.columns.items():
        width = int(np.prod(column.shape[1:], dtype=np.int64))
        offsets = pyarrow.array((table.offsets - table.offsets[0]) * width, pyarrow.int64())
        values[name] = pyarrow.LargeListArray.from_arrays(offsets, pyarrow.array(column.reshape(-1)))
    if has_texts:
        values[TEXTS] = pyarrow.LargeListArray.from_arrays(lists, _text_array(table))
    return pyarrow.table(values).replace_schema_metadata({VERSION_KEY: str(VERSION)})


def _text_array(table: ShardTable) -> Any:
    pyarrow, _ = arrow()
    count = int(table.offsets[-1] - table.offsets[0])
    if table.texts is None:
        return pyarrow.nulls(count, pyarrow.large_string())
    texts, data = table.texts, table.texts.data.tobytes()
    spans = zip(texts.starts.tolist(), texts.lengths.tolist(), strict=True)
    return pyarrow.array([data[start : start + length].decode() if length else None for start, length in spans], pyarrow.large_string())


def _from_arrow(rows: Any) -> ShardTable:
    counts = _array(rows["objects"]).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    lists = {name: rows[name].combine_chunks() for name in rows.column_names if name not in _FIXED}
    texts = lists.pop(TEXTS, None)
    return ShardTable(
        image_ids=rows["image_id"].to_pylist() if str(rows["image_id"].type) == "string" else _array(rows["image_id"]).tolist(),
        names=rows["name"].to_pylist(),
        sizes=np.stack([_array(rows["height"]), _array(rows["width"])], axis=1).astype(np.int64),
        shards=_array(rows["shard"]),
        starts=_array(rows["start"]),
        lengths=_array(rows["length"]),
        digests=rows["digest"].to_pylist(),
        offsets=offsets,
        columns={name: _flat(values, len(rows), offsets) for name, values in lists.items()},
        texts=None if texts is None else _texts(_chunk(texts)),
    )


def _array(column: Any) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = column.to_numpy()
    return values


def _chunk(column: Any) -> Any:
    """Return the only chunk of a column."""
    pyarrow, _ = arrow()
    if isinstance(column, pyarrow.ChunkedArray):
        return column.chunk(0) if column.num_chunks == 1 else pyarrow.concat_arrays(column.chunks)
    return column


def _flat(column: Any, rows: int, offsets: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return the values of a column of lists, ``(N,)`` or, where an object has ``k`` values, ``(N, k)``."""
    values: npt.NDArray[Any] = np.array(_chunk(column).flatten().to_numpy(zero_copy_only=False))
    count = int(offsets[-1])
    width, rest = divmod(len(values), count) if count else (1, len(values))
    if rest or not width:
        raise ValueError(f"{len(values)} values for {count} objects of {rows} images")
    return values if width == 1 else values.reshape(count, width)


def _texts(column: Any) -> Texts:
    """Return the texts of a column of lists of texts."""
    pyarrow, _ = arrow()
    values = column.flatten().cast(pyarrow.large_string())
    _, ends, data = values.buffers()
    bounds = np.frombuffer(ends, np.int64)[values.offset :][: len(values) + 1] if len(values) else np.zeros(1, np.int64)
    text = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(0, np.uint8)
    return Texts(text, bounds[:-1].copy(), np.diff(bounds))
