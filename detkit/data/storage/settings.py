"""Settings of the access to object storage, from the environment, which worker processes inherit."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

FOLDER, GIGABYTES = "DETKIT_STORAGE_CACHE", "DETKIT_STORAGE_CACHE_GB"
TIMEOUT, ATTEMPTS = "DETKIT_STORAGE_TIMEOUT", "DETKIT_STORAGE_ATTEMPTS"


@dataclass(frozen=True)
class StorageSettings:
    """How object storage is read.

    Attributes:
        folder: Folder of the local cache.
        gigabytes: Limit of the cache, in units of 10^9 bytes; 0: nothing is cached.
        timeout: Seconds that one attempt may take.
        attempts: Number of attempts before a file counts as unreadable.
    """

    folder: Path
    gigabytes: float = 20.0
    timeout: float = 60.0
    attempts: int = 5

    @classmethod
    def from_environment(cls) -> StorageSettings:
        """Return the settings of this process.

        Raises:
            ValueError: If a variable is not a number in its range.
        """
        folder = os.environ.get(FOLDER)
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "detkit" / "storage"
        return cls(
            Path(folder).expanduser() if folder else root,
            _number(GIGABYTES, cls.gigabytes, 0.0),
            _number(TIMEOUT, cls.timeout, 0.1),
            int(_number(ATTEMPTS, cls.attempts, 1)),
        )


def _number(variable: str, default: float, least: float) -> float:
    text = os.environ.get(variable, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value < float("inf"):
        raise ValueError(f"{variable}: expected a number of at least {least:g}, got {text!r}")
    return value
