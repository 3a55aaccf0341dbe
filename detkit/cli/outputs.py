"""Output files and folders of a command: checked before the work, and each written even if another one fails."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType


class Outputs:
    """The output files that flags name; leaving the ``with`` block raises an error that lists those that could not be written.

    Args:
        files: The files, by the names of the flags without dashes; None for a flag that was not given.
        folders: The folders, likewise.

    Raises:
        ValueError: If a file is expected and the path is a folder, or the reverse, or its parent is not a folder.
        OSError: If no file can be created there, or, at the end of the block, if a file could not be written.
    """

    def __init__(self, files: Mapping[str, str | None], folders: Mapping[str, str | None] | None = None) -> None:
        folders = folders or {}
        self._paths = {name: path for name, path in {**files, **folders}.items() if path is not None}
        self._written: set[str] = set()
        self._failed: list[str] = []
        for name, path in self._paths.items():
            (check_folder if name in folders else check_file)(f"--{name}", path)
        if self._paths:
            from detkit.checkpoint.temporary import remove_stale_temporaries

            remove_stale_temporaries(*{Path(path) if name in folders else Path(path).parent for name, path in self._paths.items()})

    def __enter__(self) -> Outputs:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._failed and error is not None and not isinstance(error, Exception):  # keep an interruption
            print(f"detkit: error: {'; '.join(self._failed)}", file=sys.stderr)
        elif self._failed:
            raise OSError("; ".join(self._failed)) from error

    @property
    def requested(self) -> bool:
        """Whether any output was requested."""
        return bool(self._paths)

    @property
    def complete(self) -> bool:
        """Whether every output was written."""
        return self._written == set(self._paths)

    @property
    def written(self) -> list[str]:
        """The written paths, in the order of the flags."""
        return [path for name, path in self._paths.items() if name in self._written]

    def write(self, name: str, write: Callable[[str], object]) -> None:
        """Call ``write`` with the path of a flag if it was given; an error is kept for the end."""
        if name not in self._paths:
            return
        try:
            write(self._paths[name])
            self._written.add(name)
        except (OSError, ValueError) as error:
            self._failed.append(f"--{name} {self._paths[name]}: could not be written: {_reason(error)}")


def write_output(path: str, text: str) -> None:
    """Write a text file of UTF-8 atomically; bytes of a file name that are not UTF-8, such as 0xe9, as escapes like backslash udce9.

    A JSON reader turns these escapes back into the name that :func:`os.fsencode` takes.
    """
    from detkit.checkpoint import write_text

    write_text(path, text.encode("utf-8", "backslashreplace").decode("utf-8"))


def check_file(flag: str, path: str | Path) -> None:
    """Check that a file can be written at ``path``, without leaving one there; what a killed command left in its folder is removed.

    Raises:
        ValueError: If it is a folder or a device, or its parent is not a folder.
        OSError: If no file can be created there.
    """
    file = Path(path)
    if file.exists() and not file.is_file():
        raise ValueError(f"{flag} {path}: expected a file name, got {'a folder; name a file in it' if file.is_dir() else 'a device'}")
    _try(flag, path, file.parent, f".{file.name}.")
    _remove_leftovers(file.parent)


def check_folder(flag: str, path: str | Path) -> None:
    """Check that files can be written into a folder, which need not exist yet, without leaving any there.

    Raises:
        ValueError: If it is a file, or its parent is not a folder.
        OSError: If no file can be created there.
    """
    if Path(path).is_file():
        raise ValueError(f"{flag} {path}: expected a folder, got a file")
    _try(flag, path, Path(path))
    _remove_leftovers(Path(path))


def check_empty(flag: str, folder: str | Path, reason: str) -> None:
    """Check that a folder is new or empty.

    Args:
        flag: The flag that names it.
        folder: The folder.
        reason: Why files in it must stay, for the error.

    Raises:
        ValueError: If there are files in it.
    """
    if Path(folder).is_dir() and any(Path(folder).iterdir()):
        raise ValueError(f"{flag} {folder}: expected a new or empty folder, {reason}; give another one")


def _remove_leftovers(folder: Path) -> None:
    from detkit.checkpoint.temporary import remove_stale_temporaries

    remove_stale_temporaries(folder)


def _try(flag: str, path: str | Path, folder: Path, prefix: str = ".detkit.") -> None:
    """Create and remove a file in a folder, or in its nearest existing parent."""
    existing = next((parent for parent in (folder, *folder.parents) if parent.exists()), folder)
    if not existing.is_dir():
        raise ValueError(f"{flag} {path}: expected {existing} to be a folder, but it is a file; give another path")
    try:
        with tempfile.NamedTemporaryFile(dir=existing, prefix=prefix, suffix=".tmp"):
            pass
    except OSError as error:
        raise type(error)(f"{flag} {path}: no file can be created in {existing} ({_reason(error)}); give another path") from None


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
