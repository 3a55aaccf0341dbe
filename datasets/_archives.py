"""Published archives of data: fetched so that they can be resumed, checked, and unpacked whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that the scripts run from a checkout that is not installed

from detkit.weights import Progress, download

NOT_STATED = "not stated"


@dataclass(frozen=True)
class Archive:
    """One file to fetch and what is taken out of it.

    Attributes:
        url: Where it lies.
        size: Its bytes; None where the publisher states none.
        checksum: ``"sha256:..."`` or ``"md5:..."``; empty where none is known.
        checksum_from: Who states the checksum, or ``"not stated"``.
        strip: The beginning of the members' names that is cut off; members without it are left in the archive.
        keep: Beginnings, after the cut, of the members that are taken; empty: all.
        gives: What lies in the data folder afterwards, by which a finished unpacking is known.
    """

    url: str
    size: int | None
    checksum: str = ""
    checksum_from: str = NOT_STATED
    strip: str = ""
    keep: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """The name that the archive has on disk."""
        return self.url.rpartition("/")[2]

    def is_unpacked(self, folder: Path) -> bool:
        """Whether all that it gives is in the folder already."""
        return bool(self.gives) and all((folder / name).exists() for name in self.gives)


def fetch_archive(archive: Archive, folder: Path, progress: Progress | None = None) -> Path:
    """The archive's file in the folder: the one that is there, or downloaded, going on where an earlier attempt stopped.

    Raises:
        RuntimeError: the server cannot be reached.
        ValueError: the file has another size or checksum than the published one; it is deleted.
    """
    path = folder / archive.file_name
    sha256 = archive.checksum.removeprefix("sha256:") if archive.checksum.startswith("sha256:") else ""
    if not path.is_file():
        download(archive.url, path, sha256, progress=progress)
    _check(archive, path)
    return path


def _check(archive: Archive, path: Path) -> None:
    size = path.stat().st_size
    if archive.size is not None and size != archive.size:
        path.unlink()
        raise ValueError(f"{path}: expected {archive.size:,} bytes, got {size:,}; it was deleted: start again, and look at {archive.url}")
    kind, _, expected = archive.checksum.partition(":")
    if not expected:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, kind).hexdigest()
    if found != expected:
        path.unlink()
        raise ValueError(f"{path}: expected {kind} {expected}, got {found}; it was deleted: start again, and look at {archive.url}")


def unpack_archive(archive: Archive, path: Path, folder: Path) -> int:
    """Unpack into the folder and say how many files were taken; nothing is there under its name until all of it is.

    A killed run leaves a folder ``.unpacking-...``, which the next one clears away.

    Raises:
        ValueError: the archive is damaged, a member would climb out of the folder, or nothing is taken.
    """
    work = folder / f".unpacking-{archive.file_name}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        count = _extract(archive, path, work)
        if not count:
            raise ValueError(f"{path}: none of its files begins with {archive.strip or archive.keep}; the archive is not the expected one")
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
                raise ValueError(f"{path}: its member {name!r} climbs out of the folder; the archive is not to be trusted")
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened as source, target.open("wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
            count += 1
    return count


@contextmanager
def _members(path: Path) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    """Name and content of each plain file in a zip or a tar; links and devices are passed over."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as bundle:
            yield ((info.filename, bundle.open(info)) for info in bundle.infolist() if not info.is_dir())
    else:
        with tarfile.open(path) as tape:
            yield ((info.name, source) for info in tape if info.isfile() and (source := tape.extractfile(info)) is not None)


def _move(work: Path, folder: Path, later: set[Path]) -> None:
    """What was unpacked, into the folder: whole subfolders at once where there are none, else file by file.

    The files by which a finished unpacking is known are left for last, and so are the folders that hold them.
    """
    for entry in sorted(work.iterdir()):
        target = folder / entry.name
        if entry.is_dir() and (target.is_dir() or any(path.is_relative_to(target) for path in later)):
            target.mkdir(exist_ok=True)
            _move(entry, target, later)
        elif target not in later:
            entry.replace(target)
