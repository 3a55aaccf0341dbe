"""A file of what was computed so far, for a command that may be killed before it writes its outputs."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from detkit.about import __version__
from detkit.printable import printable

ENDING = ".partial"
_MARK = b'{"partial": true, '
"""Beginning of a partial file; a file without it belongs to the user and is never overwritten."""

_log = logging.getLogger(__name__)


class PartialFile:
    """The results of the images and frames processed so far as lines of JSON, next to an output that is written at the end.

    The first line describes the command, and each further line has the results of one image or frame. A line is handed to the system
    as soon as its image is processed, so that it survives a killed process, although not a failure of power.

    Args:
        path: The output; the partial file has its name with :data:`ENDING`. None: keep no file.

    Raises:
        ValueError: If there is a file of that name that no command left.
    """

    def __init__(self, path: str | None) -> None:
        self.path = None if path is None else Path(path + ENDING)
        self._file: BinaryIO | None = None
        self._header = b""
        if self.path is not None and self.path.exists() and not _is_partial(self.path):
            raise ValueError(f"{self.path}: expected no such file, as it would be overwritten with what was detected so far; rename it")

    def begin(self, header: Mapping[str, Any]) -> None:
        """Set the first line, written with that of the first image."""
        self._header = _MARK + json.dumps({"detkit": __version__, **header}).encode().removeprefix(b"{") + b"\n"

    def write(self, row: Mapping[str, Any]) -> None:
        """Append the results of an image or a frame; without room on the disk no file is kept."""
        if self.path is None:
            return
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("wb", buffering=0)
                self._file.write(self._header)
            self._file.write(json.dumps(row).encode() + b"\n")
        except OSError as error:
            _log.warning("%s: could not be written (%s); if the command is killed, its detections are lost", self.path, error.strerror)
            self.remove()
            self.path = None

    def close(self, complete: bool) -> None:
        """Close the file, and remove it if the outputs that it stands for were written.

        Args:
            complete: Whether they were.
        """
        if complete:
            self.remove()
        elif self._file is not None:
            self._file.close()
            _log.warning("%s: keeps what was detected, as lines of JSON", printable(self.path))

    def remove(self) -> None:
        """Remove the file if this command wrote one."""
        if self._file is not None and self.path is not None:
            self._file.close()
            self._file = None
            self.path.unlink(missing_ok=True)


def _is_partial(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_MARK)) == _MARK
    except OSError:
        return False
