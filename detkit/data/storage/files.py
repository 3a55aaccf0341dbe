"""Reading of addresses and of members of shards, checked, with what is remote kept in the local cache."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from detkit.data.storage import door
from detkit.data.storage.addresses import Member, address_of, is_address, is_stored, member_range, shown
from detkit.data.storage.cache import ByteCache, digest_of, digest_of_file
from detkit.data.storage.retries import IncompleteError, StorageError, retried
from detkit.data.storage.settings import StorageSettings

THREADS = 8
"""Files that a process reads at once ahead of their use."""


class StoredFiles:
    """Files that a process reads from storage, through a cache, and contents that it has read ahead.

    Args:
        settings: Where the cache is, and how large it may be.
    """

    def __init__(self, settings: StorageSettings) -> None:
        self.cache = ByteCache(settings.folder, settings.gigabytes * 1e9)
        self._ahead: dict[str, bytes] = {}  # without a lock of its own, which a process could be forked with

    def read(self, path: str) -> bytes:
        """Return the content of an address or of a remote member; see :func:`read_stored`."""
        data = self._ahead.pop(path, None)
        if data is not None:
            return data
        key = _key(path)
        data = self.cache.get(key)
        if data is not None:
            return data
        with self.cache.reading(key):
            data = self.cache.get(key)  # another process may have read it meanwhile
            if data is None:
                data = _fetch(path)
                self.cache.put(key, data)
        return data

    def prefetch(self, paths: Iterable[str]) -> None:
        """Read files at once and keep them until they are asked for; one that cannot be read is left to its reader, which reports it."""
        self._ahead.clear()
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(self._read_ahead, dict.fromkeys(paths)))

    def _read_ahead(self, path: str) -> None:
        try:
            data = self.read(path)
        except (OSError, ValueError, ImportError):
            return
        self._ahead[path] = data

    def local_copy(self, path: str, length: int, digest: str) -> Path:
        """Return a local file with the content of an address; see :func:`local_copy`."""
        address, key = address_of(path) or path, _key(f"{path} {digest}")
        with self.cache.reading(key):
            file = self.cache.file(key)
            if file is not None and file.stat().st_size == length:
                return file
            temporary, file = self.cache.new_file(key)
            try:
                retried(lambda: _download_checked(address, temporary, length, digest), shown(address), _attempts())
                if not self.cache.adopt(temporary, file):
                    temporary.replace(file)  # a run cannot do without its labels
            finally:
                temporary.unlink(missing_ok=True)
        return file


@lru_cache(2)
def stored_files(settings: StorageSettings) -> StoredFiles:
    """Return what this process reads from storage with the given settings; forked processes inherit it."""
    return StoredFiles(settings)


def _files() -> StoredFiles:
    return stored_files(StorageSettings.from_environment())


def read_stored(path: str | Path) -> bytes:
    """Return the content of an address or of a member of a shard: all of it, with the right checksum where the index has one.

    Raises:
        FileNotFoundError, PermissionError: If there is no such file, or it may not be read.
        StorageError: If it cannot be read, or is damaged.
        ImportError: If the package for the scheme is not installed.
    """
    member = Member.parse(path)
    if member is not None and not is_address(member.container):
        return _read_local(member)
    return _files().read(str(member) if member is not None else address_of(path) or str(path))


def prefetch(paths: Iterable[str]) -> None:
    """Read the remote files among ``paths`` at once, for the reads that follow in this process."""
    remote = [path for path in paths if is_address(path)]
    if len(remote) > 1:
        _files().prefetch(_name(path) for path in remote)


def local_copy(path: str | Path) -> Path:
    """Return a local file with the content of a member that is a whole file, such as the labels of remote shards; other paths as they are.

    Raises:
        FileNotFoundError, PermissionError, StorageError: If it cannot be read, or is damaged.
    """
    member = Member.parse(path)
    if member is None:
        return Path(path)
    return _files().local_copy(member.container, member.length, member.digest) if is_address(member.container) else Path(member.container)


def stored_length(path: str | Path) -> int | None:
    """Return the number of bytes of a member of a shard; None for other paths, as asking for it takes time."""
    member = member_range(path)
    return None if member is None else member[0]


def stored_digest(path: str | Path) -> str | None:
    """Return the digest of a member of a shard; None for other paths."""
    member = member_range(path)
    return None if member is None else member[1]


def _read_local(member: Member) -> bytes:
    try:
        with open(member.container, "rb") as file:
            file.seek(member.start)
            data = file.read(member.length)
    except FileNotFoundError:
        raise FileNotFoundError(f"{member.container}: no such shard, which holds {member.name}; was it moved?") from None
    except OSError as error:
        raise StorageError(f"{member.container}: the shard cannot be read ({error.strerror or error}); check its disk") from None
    try:
        _check(member, data)
    except IncompleteError as error:
        raise StorageError(f"{member.container}: {member.name}: {error}; the shard is damaged: write or copy it again") from None
    return data


def _fetch(path: str) -> bytes:
    member = Member.parse(path)
    if member is None:
        return door.read(path)

    def action() -> bytes:
        data = door.read_once(member.container, member.start, member.start + member.length)
        _check(member, data)
        return data

    return retried(action, f"{shown(member.container)}: {member.name}", _attempts())


def _check(member: Member, data: bytes) -> None:
    if len(data) != member.length:
        raise IncompleteError(f"expected {member.length:,} bytes at byte {member.start:,}, got {len(data):,}")
    if digest_of(data) != member.digest:
        raise IncompleteError(f"wrong checksum of the {member.length:,} bytes at byte {member.start:,}")


def _download_checked(address: str, path: Path, length: int, digest: str) -> None:
    door.download_once(address, path)
    if path.stat().st_size != length:
        raise IncompleteError(f"expected {length:,} bytes, got {path.stat().st_size:,}")
    if digest_of_file(path) != digest:
        raise IncompleteError("wrong checksum")


def _name(path: str) -> str:
    member = Member.parse(path)
    return str(member) if member is not None else address_of(path) or path


def _attempts() -> int:
    return StorageSettings.from_environment().attempts


def _key(path: str) -> str:
    return hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()


__all__ = ["is_stored", "local_copy", "prefetch", "read_stored", "stored_digest", "stored_length"]
