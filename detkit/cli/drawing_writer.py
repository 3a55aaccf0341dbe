"""Write drawn images without overwriting files of the user."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from detkit.cli.outputs import check_folder

MARK = b"drawn by detkit"
"""Comment in each drawn image; a file without it belongs to the user and is never overwritten."""

_MAX_JPEG_SIDE = 65500
"""Longest side of a JPEG file, in pixels, that the library can write."""


class DrawingWriter:
    """A folder of drawn images.

    Args:
        folder: The folder, created when the first image is written; None: the first unused ``runs/detect-N``.
        inputs: Files that must not be overwritten.
        command: Name of the command, used in the name of the default folder.
        extension: ``jpg`` or ``png``.
    """

    def __init__(self, folder: str | None, inputs: Iterable[Path], command: str = "detect", extension: str = "jpg") -> None:
        self.folder = Path(folder) if folder is not None else _unused_folder(command)
        self.extension = extension
        check_folder("--output", self.folder)
        self._used = {_key(path) for path in inputs}

    def write(self, source: Path, image: Any) -> Path:
        """Write the drawing of ``source``, an ``(H, W, 3)`` uint8 array, under the name of ``source``, and return the path."""
        from PIL import Image
        from PIL.PngImagePlugin import PngInfo

        self.folder.mkdir(parents=True, exist_ok=True)
        fits = max(image.shape[:2]) <= _MAX_JPEG_SIDE
        path = self._unused_path(source.stem, self.extension if fits else "png")
        png_info = PngInfo()
        png_info.add_text("comment", MARK.decode())
        Image.fromarray(image).save(path, quality=92, comment=MARK, pnginfo=png_info)
        self._used.add(_key(path))
        return path

    def video_path(self, source: Path) -> Path:
        """Return an unused path for the drawn video of ``source``; videos are never overwritten, as they carry no mark."""
        path = self._unused_path(source.stem, "mp4")
        self._used.add(_key(path))
        return path

    def _unused_path(self, stem: str, extension: str) -> Path:
        number = 1
        while True:
            path = self.folder / (f"{stem}.{extension}" if number == 1 else f"{stem}-{number}.{extension}")
            if _key(path) not in self._used and (not path.exists() or _is_marked(path)):
                return path
            number += 1


def _key(path: Path) -> str:
    """Return a key that is equal for names of the same file on a case-insensitive file system."""
    return str(path.resolve()).casefold()


def _unused_folder(command: str, root: str = "runs") -> Path:
    number = 1
    while (Path(root) / f"{command}-{number}").exists():
        number += 1
    return Path(root) / f"{command}-{number}"


def _is_marked(path: Path) -> bool:
    """Whether a file is an image drawn by detkit."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.info.get("comment") in (MARK, MARK.decode())
    except OSError:
        return False
