"""Files and folders that a command writes: looked at before the work, and each written whatever becomes of the others."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType


class Outputs:
    """The files that flags of a command name; leaving the ``with`` block raises what could not be written.

    Args:
        args: What was typed.
        files: The flags that name files, as ``args`` calls them; one that was not given is left out.
        folders: Those that name folders.

    Raises:
        ValueError: a file's path is that of a folder, or the other way round, or it lies in what is no folder.
        OSError: no file can be made there, or, at the end of the block, a file could not be written.
    """

    def __init__(self, args: argparse.Namespace, *files: str, folders: Sequence[str] = ()) -> None:
        self._paths: dict[str, str] = {name: getattr(args, name) for name in (*files, *folders) if getattr(args, name) is not None}
        self._written: set[str] = set()
        self._failed: list[str] = []
        for name, path in self._paths.items():
            (check_folder if name in folders else check_file)(f"--{name}", path)

    def __enter__(self) -> Outputs:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._failed and error is not None and not isinstance(error, Exception):  # an interruption goes on as one
            print(f"detkit: error: {'; '.join(self._failed)}", file=sys.stderr)
        elif self._failed:
            raise OSError("; ".join(self._failed)) from error

    @property
    def written(self) -> list[str]:
        """Those that were written, in the order of the flags."""
        return [path for name, path in self._paths.items() if name in self._written]

    def write(self, name: str, write: Callable[[str], object]) -> None:
        """Have a flag's file or folder written if it was given; a failure is kept for the end."""
        if name not in self._paths:
            return
        try:
            write(self._paths[name])
            self._written.add(name)
        except (OSError, ValueError) as error:
            self._failed.append(f"--{name} {self._paths[name]}: could not be written: {_reason(error)}")


def check_file(flag: str, path: str | Path) -> None:
    """See that a file can be written at ``path``; nothing is left there.

    Raises:
        ValueError: it is a folder or a device, or lies in what is no folder.
        OSError: no file can be made there.
    """
    file = Path(path)
    if file.exists() and not file.is_file():
        raise ValueError(
            f"{flag} {path}: expected the name of a file, got {'a folder; name a file in it' if file.is_dir() else 'a device'}"
        )
    _try(flag, path, file.parent, f".{file.name}.")


def check_folder(flag: str, path: str | Path) -> None:
    """See that files can be written into a folder, which may have to be made; nothing is left there.

    Raises:
        ValueError: it is a file, or lies in what is no folder.
        OSError: no file can be made there.
    """
    if Path(path).is_file():
        raise ValueError(f"{flag} {path}: expected a folder, got a file")
    _try(flag, path, Path(path))


def _try(flag: str, path: str | Path, folder: Path, prefix: str = ".detkit.") -> None:
    """Make a file in a folder, or in the first above it that is there, and remove it."""
    there = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    if not there.is_dir():
        raise ValueError(f"{flag} {path}: {there} is a file, and a folder is expected there; give another path")
    try:
        with tempfile.NamedTemporaryFile(dir=there, prefix=prefix, suffix=".tmp"):
            pass
    except OSError as error:
        raise type(error)(f"{flag} {path}: no file can be made in {there} ({_reason(error)}); give another path") from None


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
