"""Downloads that go on where they stopped, and are what they claim to be."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from detkit.weights.entry import NOT_STATED

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are here, and the bytes there are to be where the server says so."""

_log = logging.getLogger(__name__)
_CHUNK = 1 << 20
_SECONDS = 30


def digest(path: Path) -> str:
    """The file's SHA-256, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checked(path: Path, sha256: str) -> Path:
    """The path itself, after its content was compared with a SHA-256 or the beginning of one, if one is stated.

    Raises:
        ValueError: the file is another one, or was cut.
    """
    found = digest(path)
    if sha256 != NOT_STATED and not found.startswith(sha256.lower()):
        raise ValueError(
            f"{path}: expected a file whose SHA-256 begins with {sha256}, got {found[: len(sha256)]} "
            f"({path.stat().st_size} bytes): it was cut or is another file; delete it and fetch it again"
        )
    return path


def download(url: str, path: Path, sha256: str, *, progress: Progress | None = None, attempts: int = 3) -> Path:
    """Fetch ``url`` into ``path``; what arrives is kept in ``path.part``, from which the next attempt goes on.

    The file takes its name only when it is whole and its SHA-256 begins with ``sha256`` (any, where none is stated).

    Raises:
        RuntimeError: the server cannot be reached, refuses, or breaks off every time.
        ValueError: the file that came is not the published one; it is deleted.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    for attempt in range(1, attempts + 1):
        try:
            _fetch(url, part, progress)
            break
        except (URLError, HTTPException, OSError) as error:
            _log.debug("%s: attempt %d of %d failed: %s", url, attempt, attempts, error)
            if attempt == attempts or (isinstance(error, HTTPError) and error.code < 500):
                raise RuntimeError(_failure(url, path, part, error)) from error
    return _finished(url, part, path, sha256)


def _fetch(url: str, part: Path, progress: Progress | None) -> None:
    """Append what is missing to ``part``, or start anew when the server cannot go on from there."""
    here = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={here}-", "User-Agent": "detkit"} if here else {"User-Agent": "detkit"})
    try:
        with urlopen(request, timeout=_SECONDS) as response:
            if response.status != 206:
                here = 0
            _write(response, part, here, progress)
    except HTTPError as error:
        if error.code != 416:
            raise
        if here != _whole_size(error):
            part.unlink()
            _fetch(url, part, progress)


def _whole_size(error: HTTPError) -> int | None:
    """The size that a refusal of a range states (``Content-Range: bytes */1234``)."""
    stated = str(error.headers.get("Content-Range", "")).rpartition("/")[2]
    return int(stated) if stated.isdigit() else None


def _write(response: HTTPResponse, part: Path, here: int, progress: Progress | None) -> None:
    stated = response.headers.get("Content-Length")
    total = here + int(stated) if stated is not None else None
    with part.open("ab" if here else "wb") as file:
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            here += len(chunk)
            if progress is not None:
                progress(here, total)
        file.flush()
        os.fsync(file.fileno())
    if total is not None and here < total:
        raise OSError(f"the connection broke off after {here} of {total} bytes")


def _finished(url: str, part: Path, path: Path, sha256: str) -> Path:
    found = digest(part)
    if sha256 != NOT_STATED and not found.startswith(sha256.lower()):
        size = part.stat().st_size
        part.unlink()
        raise ValueError(
            f"{url}: expected a file whose SHA-256 begins with {sha256}, got {found[: len(sha256)]} ({size} bytes); "
            "it was deleted: try again, and look at what the address gives"
        )
    part.replace(path)
    return path


def _failure(url: str, path: Path, part: Path, error: Exception) -> str:
    here = part.stat().st_size if part.exists() else 0
    again = f"the same command goes on from byte {here}" if here else "try the same command again"
    reason = getattr(error, "reason", None) or error
    return f"could not download {url}: {reason}; {again}, or put the file into {path.parent} by hand"
