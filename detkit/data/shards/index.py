"""Random access to the images and labels of shards, on a disk or in object storage, without torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from detkit.data.shards.manifest import FileEntry, Manifest, SplitEntry, file_of, folder_name, read_manifest
from detkit.data.shards.table import ShardTable, read_table
from detkit.data.storage.addresses import Member, is_address
from detkit.data.storage.files import local_copy, read_stored


@dataclass(frozen=True, eq=False)
class ShardIndex:
    """A split of a set of shards.

    Attributes:
        folder: Folder or address of the set.
        split: What it holds.
        table: Its index and labels.
    """

    folder: str
    split: SplitEntry
    table: ShardTable

    @classmethod
    def open(cls, path: str | Path, split: str) -> ShardIndex:
        """Open a split.

        Raises:
            FileNotFoundError: If there are no shards, or no such split.
            StorageError: If they cannot be read, or are damaged.
            ValueError: If they are invalid.
            ImportError: If pyarrow, or the package for the address, is not installed.
        """
        return cls.of(path, read_manifest(path), split)

    @classmethod
    def of(cls, path: str | Path, manifest: Manifest, split: str) -> ShardIndex:
        """Open a split of a set whose manifest was read; errors as in :meth:`open`."""
        if split not in manifest.splits:
            raise FileNotFoundError(f"{folder_name(path)}: no split {split!r}; it has {', '.join(map(repr, manifest.splits))}")
        entry, folder = manifest.splits[split], folder_name(path)
        _check_containers(folder, entry)
        table = read_table(local_copy(whole(folder, entry.labels)))
        if len(table) != entry.images or int(table.offsets[-1]) != entry.boxes:
            raise ValueError(
                f"{file_of(folder, entry.labels)}: expected {entry.images:,} images and {entry.boxes:,} boxes, got {len(table):,} and "
                f"{int(table.offsets[-1]):,}; the files do not belong together: write or copy the shards again"
            )
        if len(table) and not 0 <= int(table.shards.min()) <= int(table.shards.max()) < len(entry.shards):
            raise ValueError(
                f"{file_of(folder, entry.labels)}: it names shards from {int(table.shards.min())} to {int(table.shards.max())} of "
                f"{len(entry.shards)}; the files do not belong together: write or copy the shards again"
            )
        return cls(folder, entry, table)

    def __len__(self) -> int:
        return len(self.table)

    def read(self, index: int) -> bytes:
        """Return the bytes of an image's file, of which length and checksum are right.

        Raises:
            FileNotFoundError, PermissionError, StorageError: If it cannot be read.
        """
        return read_stored(self.path(index))

    def path(self, index: int) -> str:
        """Return the path of an image, which detkit reads like that of a file."""
        table = self.table
        container = file_of(self.folder, self.split.shards[int(table.shards[index])])
        digest = table.digests[index].hex()
        return str(Member(container, int(table.starts[index]), int(table.lengths[index]), digest, table.names[index]))

    def paths(self) -> Sequence[str]:
        """Return the path of every image."""
        table, containers = self.table, [f"{file_of(self.folder, shard)}#" for shard in self.split.shards]
        numbers = zip(table.shards.tolist(), table.starts.tolist(), table.lengths.tolist(), table.digests, table.names, strict=True)
        return [f"{containers[shard]}{start}+{length}+{digest.hex()}/{name}" for shard, start, length, digest, name in numbers]


def _check_containers(folder: str, entry: SplitEntry) -> None:
    """Check that the tar files of a folder are there with their lengths; those in object storage are checked when they are read.

    Raises:
        ValueError: If one is missing, or of another length.
    """
    for shard in entry.shards:
        path = file_of(folder, shard)
        if is_address(path):
            return
        found = os.path.getsize(path) if os.path.isfile(path) else None
        if found != shard.bytes:
            got = "no such file" if found is None else f"{found:,} bytes"
            raise ValueError(f"{path}: expected a file of {shard.bytes:,} bytes, got {got}; copy or write the shards again")


def whole(folder: str, entry: FileEntry) -> str:
    """Return the path of a file of a set as one member, so that its length and checksum are known."""
    return str(Member(file_of(folder, entry), 0, entry.bytes, entry.digest, entry.file))
