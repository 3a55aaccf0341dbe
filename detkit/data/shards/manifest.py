"""``shards.json``: what a set of shards holds, written last, so that a folder without it is not complete. Reading needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from detkit.config import Config
from detkit.data.storage import door
from detkit.data.storage.addresses import address_of, joined, shown

FILE = "shards.json"
VERSION = 1
"""Version of the layout and of the Parquet schema; it grows when an older detkit could not read them."""
UNFINISHED = "unfinished/state.json"
"""File in a folder of shards that are not complete."""
UNDIVIDED = ""
"""Name of the only split of data that is not divided."""


class FileEntry(Config):
    """A file of the set."""

    file: str
    """Name of the file in the folder."""
    bytes: int = Field(ge=0)
    """Its length."""
    digest: str
    """BLAKE2b digest of its content, 32 hexadecimal digits."""


class ShardEntry(FileEntry):
    """A tar file."""

    images: int = Field(ge=1)
    """Number of its images."""


class AnnotationsEntry(FileEntry):
    """A copy of the COCO file that the labels were read from, by which COCO's metrics are computed on the numbers as published."""

    labels: dict[str, int]
    """Category id in the file, as text, to the label in the data."""
    ignored: tuple[int, ...] = ()
    """Ids of the categories whose boxes are regions to ignore."""


class SplitEntry(Config):
    """A part of the data set."""

    images: int
    """Number of images."""
    boxes: int
    """Number of boxes."""
    class_names: tuple[str, ...]
    """Class names, by label."""
    category_ids: tuple[int, ...]
    """Ids of the classes in the data set."""
    is_classification: bool = False
    """Whether labels are of whole images."""
    labels: FileEntry
    """The Parquet file of the labels and of the index."""
    annotations: AnnotationsEntry | None = None
    """The COCO file of the data, if there is one."""
    shards: tuple[ShardEntry, ...]
    """The tar files, in the order of the images."""
    report: dict[str, dict[str, int]] = Field(default_factory=dict)
    """Labels and images that the reader of the source skipped, changed or noticed: counts by file, by kind."""
    report_details: dict[str, str] = Field(default_factory=dict)
    """An example of each kind."""
    report_checked: int | None = None
    """Number of images whose sizes were compared with their labels; None: all."""


class Manifest(Config):
    """All splits of a set of shards."""

    format: Literal["detkit shards"] = "detkit shards"
    """The kind of the file."""
    version: int = VERSION
    """Version of the layout."""
    detkit: str = ""
    """Version of detkit that wrote it."""
    splits: dict[str, SplitEntry]
    """The splits by name; an empty name for data that is not divided."""


def folder_name(path: str | Path) -> str:
    """Return a folder of shards as an address or a path, for names of its files and messages."""
    return address_of(path) or str(path)


def has_manifest(path: Path) -> bool:
    """Return whether a local folder is a set of shards, complete or not, or an address is given, which can only be one."""
    return address_of(path) is not None or (path / FILE).is_file() or (path / UNFINISHED).is_file()


def read_manifest(path: str | Path) -> Manifest:
    """Read what a folder or an address of shards holds.

    Raises:
        FileNotFoundError: If there is no ``shards.json``.
        StorageError: If it cannot be read from the storage.
        ValueError: If it is not one, or of a newer version, or if the shards are not complete.
    """
    name = joined(folder_name(path), FILE)
    try:
        text = door.read(name) if address_of(name) is not None else Path(name).read_bytes()
    except FileNotFoundError:
        if Path(path, UNFINISHED).is_file():
            raise ValueError(f"{path}: these shards are not complete; repeat the command that writes them, and it continues") from None
        raise FileNotFoundError(
            f"{shown(name)}: no such file; expected a folder of shards, which 'detkit data shard' writes; check the address"
        ) from None
    return parse_manifest(text, shown(name))


def parse_manifest(text: bytes, name: str) -> Manifest:
    """Parse a ``shards.json``.

    Raises:
        ValueError: If it is not one, or of a newer version.
    """
    try:
        content = json.loads(text)
        version = content.get("version") if isinstance(content, Mapping) else None
        if isinstance(version, int) and version > VERSION:
            raise _NewerError(f"{name}: shards of version {version}; this detkit reads up to version {VERSION}: update detkit")
        return Manifest.model_validate_json(text)
    except _NewerError:
        raise
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ValueError(f"{name}: not the index of shards: {where}: {first['msg']}; write the shards again") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name}: not the index of shards ({error}); write the shards again") from None


class _NewerError(ValueError):
    """The set was written by a newer version."""


def file_of(folder: str, entry: FileEntry) -> str:
    """Return the address or path of a file of a set.

    Raises:
        ValueError: If its name leads out of the folder.
    """
    if "/" in entry.file or "\\" in entry.file or entry.file.startswith("."):
        raise ValueError(f"{shown(folder)}: a file of shards is named {entry.file!r}; expected a plain name: write the shards again")
    return joined(folder, entry.file)


def to_json(manifest: Manifest) -> str:
    """Return the text of ``shards.json``."""
    value: Any = json.loads(manifest.to_json())
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
