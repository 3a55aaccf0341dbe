"""Published archives: download with resume, verify, and unpack all or nothing."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from detkit.weights import NOT_STATED, Progress, download


@dataclass(frozen=True)
class Archive:
    """A file to download, and the members to unpack from it.

    Attributes:
        url: Its address.
        size: Its size in bytes; None if the publisher states none.
        unpacked_size: Approximate size of the unpacked members in bytes.
        checksum: ``"sha256:..."`` or ``"md5:..."``; empty if none is known.
        checksum_source: Where the checksum is stated, or ``"not stated"``.
        strip: Prefix that is removed from the members' names; members without it are skipped.
        keep: Prefixes, after the removal, of the members to unpack; empty: all.
        gives: Paths in the data folder whose presence shows that the archive was unpacked.
    """

    url: str
    size: int | None
    unpacked_size: int
    checksum: str = ""
    checksum_source: str = NOT_STATED
    strip: str = ""
    keep: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """Name of the archive on disk."""
        return self.url.rpartition("/")[2]

    def is_unpacked(self, folder: Path) -> bool:
        """Return whether everything that the archive gives is in the folder already."""
        return bool(self.gives) and all((folder / name).exists() for name in self.gives)


def fetch_archive(archive: Archive, folder: Path, progress: Progress | None = None) -> Path:
    """Download an archive into a folder, or reuse the file there; an interrupted download is resumed.

    Args:
        archive: The archive.
        folder: Where its file is stored.
        progress: Called with the bytes received so far and the total, if the server states it.

    Returns:
        The verified file.

    Raises:
        RuntimeError: If the server cannot be reached.
        ValueError: If size or checksum differ from the published ones; the file is deleted.
    """
    path = folder / archive.file_name
    sha256 = archive.checksum.removeprefix("sha256:") if archive.checksum.startswith("sha256:") else ""
    if not path.is_file():
        download(archive.url, path, sha256, progress=progress)
    _verify(archive, path)
    return path


def _verify(archive: Archive, path: Path) -> None:
    """Compare size and checksum with the published ones; delete a file that differs."""
    size = path.stat().st_size
    if archive.size is not None and size != archive.size:
        path.unlink()
        raise ValueError(f"{path}: expected {archive.size:,} bytes, got {size:,}; it was deleted: start again, or check {archive.url}")
    kind, _, expected = archive.checksum.partition(":")
    if not expected:
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, kind).hexdigest()
    if digest != expected:
        path.unlink()
        raise ValueError(f"{path}: expected {kind} {expected}, got {digest}; it was deleted: start again, or check {archive.url}")


def unpack_archive(archive: Archive, path: Path, folder: Path) -> int:
    """Unpack an archive into a folder; nothing gets its final name before everything is unpacked.

    An interrupted run leaves a folder ``.unpacking-...``, which the next run deletes.

    Args:
        archive: The archive.
        path: Its downloaded file.
        folder: The data folder.

    Returns:
        The number of unpacked files.

    Raises:
        ValueError: If the archive is damaged, a member's path leads out of the folder, or no member matches.
    """
    work = folder / f".unpacking-{archive.file_name}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        count = _extract(archive, path, work)
        if not count:
            raise ValueError(
                f"{path}: expected files whose names begin with {archive.strip or archive.keep}, got none; this is another archive"
            )
        _move(work, folder, {folder / name for name in archive.gives if (work / name).is_file()})
        for name in archive.gives:
            if (work / name).is_file():
                (work / name).replace(folder / name)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{path}: the archive is damaged ({error}); delete it and start again") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return count


def _extract(archive: Archive, path: Path, work: Path) -> int:
    count = 0
    with _members(path) as members:
        for name, opened in members:
            if not name.startswith(archive.strip):
                continue
            short = name[len(archive.strip) :]
            if archive.keep and not short.startswith(archive.keep):
                continue
            target = work / short
            if os.path.isabs(short) or not target.resolve().is_relative_to(work.resolve()):
                raise ValueError(f"{path}: the path of its member {name!r} leads out of the folder; do not trust this archive")
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened as source, target.open("wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
            count += 1
    return count


@contextmanager
def _members(path: Path) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    """Iterate over name and content of the regular files in a zip or tar file; links and devices are skipped."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield ((info.filename, archive.open(info)) for info in archive.infolist() if not info.is_dir())
    else:
        with tarfile.open(path) as archive:
            yield ((info.name, source) for info in archive if info.isfile() and (source := archive.extractfile(info)) is not None)


def _move(work: Path, folder: Path, last: set[Path]) -> None:
    """Move the unpacked files into the folder: whole subfolders if they do not exist there, else file by file.

    The files in ``last``, whose presence shows that the archive was unpacked, stay behind, to be moved at the end; so do the folders that
    contain them.
    """
    for entry in sorted(work.iterdir()):
        target = folder / entry.name
        if entry.is_dir() and (target.is_dir() or any(path.is_relative_to(target) for path in last)):
            target.mkdir(exist_ok=True)
            _move(entry, target, last)
        elif target not in last:
            entry.replace(target)
