"""Where drawn images are written, so that nothing of the user's is lost."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from detkit.cli.outputs import check_folder

MARK = b"drawn by detkit"
"""The comment in each drawn image; a file without it is the user's own and is never overwritten."""


_LONGEST_JPEG = 65500
"""Pixels of the longest side that the format, as its library writes it, can hold."""


class DrawingWriter:
    """A folder of drawn images.

    Args:
        folder: Made when the first image is written; by default the first free ``runs/detect-N``.
        inputs: Files that must not be overwritten.
        command: Whose images they are.
        ending: ``jpg`` or ``png``.
    """

    def __init__(self, folder: str | None, inputs: Iterable[Path], command: str = "detect", ending: str = "jpg") -> None:
        self.folder = Path(folder) if folder is not None else _free_folder(command)
        self.ending = ending
        check_folder("--output", self.folder)
        self._taken = {_key(path) for path in inputs}

    def write(self, source: Path, image: Any) -> Path:
        """Write the drawing of ``source`` (an ``(H, W, 3)`` uint8 array) under its name and give its path."""
        from PIL import Image
        from PIL.PngImagePlugin import PngInfo

        self.folder.mkdir(parents=True, exist_ok=True)
        fits = max(image.shape[:2]) <= _LONGEST_JPEG
        path = self._free_name(source.stem, self.ending if fits else "png")
        about = PngInfo()
        about.add_text("comment", MARK.decode())
        Image.fromarray(image).save(path, quality=92, comment=MARK, pnginfo=about)
        self._taken.add(_key(path))
        return path

    def video_path(self, source: Path) -> Path:
        """Where to write the drawn video of ``source``; no video is ever overwritten, because nothing marks those drawn here."""
        path = self._free_name(source.stem, "mp4")
        self._taken.add(_key(path))
        return path

    def _free_name(self, stem: str, ending: str) -> Path:
        number = 1
        while True:
            path = self.folder / (f"{stem}.{ending}" if number == 1 else f"{stem}-{number}.{ending}")
            if _key(path) not in self._taken and (not path.exists() or _is_ours(path)):
                return path
            number += 1


def _key(path: Path) -> str:
    """The same for names that are one file on a disk that does not tell the cases of letters apart."""
    return str(path.resolve()).casefold()


def _free_folder(command: str, root: str = "runs") -> Path:
    number = 1
    while (Path(root) / f"{command}-{number}").exists():
        number += 1
    return Path(root) / f"{command}-{number}"


def _is_ours(path: Path) -> bool:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.info.get("comment") in (MARK, MARK.decode())
    except OSError:
        return False
