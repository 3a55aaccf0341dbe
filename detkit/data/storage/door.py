"""Opening of addresses by fsspec, the only module that does."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from detkit.data.storage.addresses import READ_ONLY, address_of, shown
from detkit.data.storage.retries import IncompleteError, retried
from detkit.data.storage.settings import StorageSettings

INSTALL = "pip install 'detkit-vision[storage]'"
_PACKAGES = {"gs": "pip install gcsfs", "s3": INSTALL, "http": INSTALL, "https": INSTALL}


def read(address: str, start: int | None = None, end: int | None = None) -> bytes:
    """Return the content of an address, or its bytes from ``start`` to below ``end``; a part of what was asked for is never returned.

    Raises:
        FileNotFoundError, PermissionError, StorageError: If it cannot be read.
        ImportError: If the package for the scheme is not installed.
    """
    return retried(lambda: read_once(address, start, end), shown(address), StorageSettings.from_environment().attempts)


def read_once(address: str, start: int | None = None, end: int | None = None) -> bytes:
    """Make one attempt to :func:`read`.

    Raises:
        IncompleteError: If more or fewer bytes arrived than there are.
    """
    filesystem, path = _filesystem(address)
    expected = _call(filesystem, "size", path) if start is None or end is None else end - start
    data: bytes = _call(filesystem, "cat_file", path, start=start, end=end)
    if expected is not None and len(data) != expected:
        advice = "; the server ignores ranges of bytes, so serve the files with one that knows them" if len(data) > expected else ""
        raise IncompleteError(f"expected {expected:,} bytes, got {len(data):,}{advice}")
    return data


def size(address: str) -> int | None:
    """Return the number of bytes of an address; None if the storage does not state it.

    Raises:
        FileNotFoundError, PermissionError, StorageError: If there is no answer.
    """
    filesystem, path = _filesystem(address)
    length: int | None = retried(lambda: _call(filesystem, "size", path), shown(address), StorageSettings.from_environment().attempts)
    return length


def exists(address: str) -> bool:
    """Return whether there is a file at an address.

    Raises:
        PermissionError, StorageError: If there is no answer.
    """
    try:
        size(address)
    except FileNotFoundError:
        return False
    return True


def download(address: str, path: Path) -> None:
    """Copy an address into a local file, which the caller renames when it is complete.

    Raises:
        FileNotFoundError, PermissionError, StorageError: If it cannot be read.
    """
    retried(lambda: download_once(address, path), shown(address), StorageSettings.from_environment().attempts)


def download_once(address: str, path: Path) -> None:
    """Make one attempt to :func:`download`.

    Raises:
        IncompleteError: If more or fewer bytes arrived than there are.
    """
    filesystem, remote = _filesystem(address)
    expected = _call(filesystem, "size", remote)
    _call(filesystem, "get_file", remote, str(path), unlimited=True)
    _check_size(expected, path.stat().st_size)


def upload(path: Path, address: str) -> None:
    """Copy a local file to an address, and compare the size of what is there afterwards.

    Raises:
        ValueError: If the scheme is read-only.
        PermissionError, StorageError: If it cannot be written.
    """
    check_writable(address)

    def action() -> None:
        filesystem, remote = _filesystem(address)
        _call(filesystem, "put_file", str(path), remote, unlimited=True)
        filesystem.invalidate_cache()
        _check_size(_call(filesystem, "size", remote), path.stat().st_size)

    retried(action, shown(address), StorageSettings.from_environment().attempts)


def check_writable(address: str) -> None:
    """Check that files can be written to an address of this scheme.

    Raises:
        ValueError: If they cannot.
        ImportError: If the package for the scheme is not installed.
    """
    if (address_of(address) or "").partition(":")[0] in READ_ONLY:
        raise ValueError(f"{shown(address)}: nothing can be written to http addresses; expected one such as s3://bucket/folder")
    _filesystem(address)


def _check_size(expected: int | None, got: int | None) -> None:
    if expected is not None and got is not None and got != expected:
        raise IncompleteError(f"expected {expected:,} bytes, got {got:,}")


def _filesystem(address: str) -> tuple[Any, str]:
    """Return the file system of an address, and the path in it; fsspec keeps one for each process."""
    scheme = address.partition(":")[0]
    try:
        from fsspec.core import url_to_fs

        filesystem, path = url_to_fs(address)
    except ImportError as error:
        advice = _PACKAGES.get(scheme, INSTALL)
        raise ImportError(f"{shown(address)}: reading {scheme}:// needs a package that is not installed ({error}); {advice}") from error
    return filesystem, path


def _call(filesystem: Any, method: str, *arguments: Any, unlimited: bool = False, **options: Any) -> Any:
    """Call a method of a file system, for at most the timeout where the file system can be interrupted.

    ``unlimited`` is for whole files of any size: the limits of the connection itself remain.
    """
    from fsspec.asyn import AsyncFileSystem, sync

    if not isinstance(filesystem, AsyncFileSystem):
        return getattr(filesystem, method)(*arguments, **options)
    timeout = None if unlimited else math.ceil(StorageSettings.from_environment().timeout)
    return sync(filesystem.loop, getattr(filesystem, f"_{method}"), *arguments, timeout=timeout, **options)
