"""Name and labels of an image in a shard; the labels are also JSON, for programs that read tar files alone."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from detkit.data.records import Records
from detkit.data.shards.table import Texts
from detkit.data.storage.addresses import Member, address_of
from detkit.structures import Segmentations

_DECIMALS = 4
"""Decimals of coordinates in the JSON; the Parquet file has them exactly."""
_FLAGS = ("is_crowd", "is_difficult", "is_ignore")
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def image_names(records: Records) -> Sequence[str]:
    """Return a name for each image with forward slashes: its path below the folder that contains all of them."""
    stored = [Member.parse(path) for path in records.paths]
    plain = [_absolute(path) for path, member in zip(records.paths, stored, strict=True) if member is None]
    try:
        root = os.path.commonpath([os.path.dirname(path) for path in plain]) if plain else ""
    except ValueError:  # on different drives
        root = ""
    names = iter(os.path.relpath(path, root) if root else os.path.basename(path) for path in plain)
    return [next(names).replace(os.sep, "/") if member is None else member.name for member in stored]


def _absolute(path: str) -> str:
    """Return a path from the root of the disk, or from the bucket of an address."""
    address = address_of(path)
    return os.path.abspath(path) if address is None else f"/{address.partition('?')[0].partition('://')[2]}"


def sample_json(records: Records, index: int, name: str, class_names: Sequence[str]) -> bytes:
    """Return the labels of an image as JSON: the objects with their class, box and flags."""
    rows = slice(int(records.offsets[index]), int(records.offsets[index + 1]))
    boxes = records.boxes[rows].astype(np.float64).round(_DECIMALS).tolist()
    flags = {key: records.columns[key][rows].tolist() for key in _FLAGS if records.columns[key][rows].any()}
    ignored = flags.get("is_ignore", [False] * len(boxes))
    objects = [
        {"label": label, "class": None if ignored[row] else class_names[label], "box": box}
        | {key: True for key in flags if flags[key][row]}
        for row, (label, box) in enumerate(zip(records.labels[rows].tolist(), boxes, strict=True))
    ]
    height, width = records.sizes[index].tolist()
    content = {"image_id": records.image_ids[index], "name": name, "height": height, "width": width, "objects": objects}
    return _ENCODER.encode(content).encode("utf-8", "surrogatepass")


def texts_of(segmentations: Segmentations | None, rows: slice) -> Texts | None:
    """Return the segmentations of some objects in COCO's form as JSON text; None if the data has none."""
    if segmentations is None:
        return None
    values: list[Any] = [segmentations.stored(row) for row in range(rows.start, rows.stop)]
    texts = [b"" if value is None else json.dumps(value, separators=(",", ":")).encode() for value in values]
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    return Texts(np.frombuffer(b"".join(texts), np.uint8), np.cumsum(lengths) - lengths, lengths)
