"""Downloads that resume where they stopped and are verified by checksum."""

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
"""Called with the number of bytes received, and the total number if the server states it."""

_log = logging.getLogger(__name__)
_CHUNK = 1 << 20
_SECONDS = 30


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_checksum(path: Path, sha256: str) -> Path:
    """Return the path after comparing its content with a SHA-256, or the leading digits of one, if one is stated.

    Raises:
        ValueError: If the file is truncated or another one.
    """
    digest = sha256_of(path)
    if sha256 != NOT_STATED and not digest.startswith(sha256.lower()):
        raise ValueError(
            f"{path}: expected a file whose SHA-256 begins with {sha256}, got {digest[: len(sha256)]} "
            f"({path.stat().st_size} bytes): it is truncated or another file; delete it and download it again"
        )
    return path


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        advice = "name another one with --folder, or in the environment variable DETKIT_WEIGHTS"
        raise OSError(f"{folder}: the folder of published weights cannot be made ({error.strerror}); {advice}") from None


def download(url: str, path: Path, sha256: str, *, progress: Progress | None = None, attempts: int = 3) -> Path:
    """Download ``url`` to ``path``; partial data is kept in ``path.part``, from which the next attempt resumes.

    The file gets its final name only when it is complete and its SHA-256 begins with ``sha256`` (any SHA-256 if none is stated).

    Raises:
        RuntimeError: If the server cannot be reached, refuses, or closes the connection in every attempt.
        ValueError: If the downloaded file is not the published one; it is deleted.
        OSError: If the folder cannot be made.
    """
    _make_folder(path.parent)
    part = path.with_name(path.name + ".part")
    for attempt in range(1, attempts + 1):
        try:
            _fetch(url, part, progress)
            break
        except (URLError, HTTPException, OSError) as error:
            _log.debug("%s: attempt %d of %d failed: %s", url, attempt, attempts, error)
            if attempt == attempts or (isinstance(error, HTTPError) and error.code < 500):
                raise RuntimeError(_failure(url, path, part, error)) from error
    return _finish(url, part, path, sha256)


def _fetch(url: str, part: Path, progress: Progress | None) -> None:
    """Append the missing bytes to ``part``, or start from the beginning if the server cannot resume."""
    received = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={received}-", "User-Agent": "detkit"} if received else {"User-Agent": "detkit"})
    try:
        with urlopen(request, timeout=_SECONDS) as response:
            if response.status != 206:
                received = 0
            _write(response, part, received, progress)
    except HTTPError as error:
        if error.code != 416:
            raise
        if received != _total_size(error):
            part.unlink()
            _fetch(url, part, progress)


def _total_size(error: HTTPError) -> int | None:
    """Return the file size in the header of a refused range (``Content-Range: bytes */1234``)."""
    stated = str(error.headers.get("Content-Range", "")).rpartition("/")[2]
    return int(stated) if stated.isdigit() else None


def _write(response: HTTPResponse, part: Path, received: int, progress: Progress | None) -> None:
    stated = response.headers.get("Content-Length")
    total = received + int(stated) if stated is not None else None
    with part.open("ab" if received else "wb") as file:
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            received += len(chunk)
            if progress is not None:
                progress(received, total)
        file.flush()
        os.fsync(file.fileno())
    if total is not None and received < total:
        raise OSError(f"the connection was closed after {received} of {total} bytes")


def _finish(url: str, part: Path, path: Path, sha256: str) -> Path:
    digest = sha256_of(part)
    if sha256 != NOT_STATED and not digest.startswith(sha256.lower()):
        size = part.stat().st_size
        part.unlink()
        raise ValueError(
            f"{url}: expected a file whose SHA-256 begins with {sha256}, got {digest[: len(sha256)]} ({size} bytes); "
            "it was deleted: try again, and check the content of the address"
        )
    part.replace(path)
    return path


def _failure(url: str, path: Path, part: Path, error: Exception) -> str:
    received = part.stat().st_size if part.exists() else 0
    retry = f"the same command resumes from byte {received}" if received else "try the same command again"
    reason = getattr(error, "reason", None) or error
    return f"could not download {url}: {reason}; {retry}, or put the file into {path.parent} yourself"
