"""Write drawn images without overwriting files of the user."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from detkit.cli.outputs import check_folder

RUNS = "runs"
"""Folder of the outputs of commands without ``--output``."""
MARK = b"drawn by detkit"
"""Comment in each drawn image; a file without it belongs to the user and is never overwritten."""

_FORMATS = {".jpg": "JPEG", ".png": "PNG"}
_MAX_JPEG_SIDE = 65500
"""Longest side of a JPEG file, in pixels, that the library can write."""


class DrawingWriter:
    """A folder of drawn images.

    Args:
        folder: The folder, created when the first image is written; None: the first ``runs/detect-N`` that does not exist then, so that
            commands that run at the same time have a folder each.
        inputs: Files that must not be overwritten.
        command: Name of the command, used in the name of the default folder.
        extension: ``jpg`` or ``png``.

    Attributes:
        written: Number of names that were given to drawn images and videos.
    """

    def __init__(self, folder: str | None, inputs: Iterable[Path], command: str = "detect", extension: str = "jpg") -> None:
        self._folder = None if folder is None else Path(folder)
        self._command = command
        self.extension = extension
        check_folder("--output", RUNS if folder is None else folder)
        from detkit.checkpoint.temporary import remove_stale_temporaries

        remove_stale_temporaries(*(Path(RUNS).glob(f"{command}-*") if self._folder is None else [self._folder]))
        self._used = {_key(path) for path in inputs}
        self.written = 0
        self._started = time.time()

    @property
    def folder(self) -> Path:
        """The folder; it is created if none was given."""
        if self._folder is None:
            self._folder = new_folder(self._command)
        return self._folder

    def write(self, stem: str, image: Any) -> Path:
        """Write a drawing, an ``(H, W, 3)`` uint8 array, and return the path; ``stem`` is its name without extension, if that is unused."""
        from PIL import Image
        from PIL.PngImagePlugin import PngInfo

        from detkit.checkpoint import atomic_write

        fits = max(image.shape[:2]) <= _MAX_JPEG_SIDE
        path = self._unused_path(stem, self.extension if fits else "png")
        png_info = PngInfo()
        png_info.add_text("comment", MARK.decode())
        with atomic_write(path) as temporary:
            Image.fromarray(image).save(temporary, _FORMATS[path.suffix], quality=92, comment=MARK, pnginfo=png_info)
        self._used.add(_key(path))
        self.written += 1
        return path

    def video_path(self, stem: str) -> Path:
        """Return an unused path for a drawn video; videos are never overwritten, as they carry no mark."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._unused_path(stem, "mp4")
        self._used.add(_key(path))
        self.written += 1
        return path

    def _unused_path(self, stem: str, extension: str) -> Path:
        number = 1
        while True:
            path = self.folder / (f"{stem}.{extension}" if number == 1 else f"{stem}-{number}.{extension}")
            if _key(path) not in self._used and (not path.exists() or self._may_replace(path)):
                return path
            number += 1

    def _may_replace(self, path: Path) -> bool:
        """Return whether a file is an image drawn by an earlier command; those of commands that run now are kept."""
        return _is_marked(path) and path.stat().st_mtime < self._started


def _key(path: Path) -> str:
    """Return a key that is equal for names of the same file on a case-insensitive file system."""
    return str(path.resolve()).casefold()


def new_folder(command: str, root: str = RUNS) -> Path:
    """Create and return the first folder ``root/command-N`` that does not exist; no other process gets the same."""
    number = 1
    while True:
        folder = Path(root) / f"{command}-{number}"
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1


def _is_marked(path: Path) -> bool:
    """Whether a file is an image drawn by detkit."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.info.get("comment") in (MARK, MARK.decode())
    except OSError:
        return False
