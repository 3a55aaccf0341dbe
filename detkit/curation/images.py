"""Images of a data set that is written: linked, copied, or cut out of larger ones."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from detkit.arrays import ImageArray
from detkit.data.media.images import read_image, stored_size
from detkit.data.record_image import cut_window
from detkit.data.records import Records
from detkit.data.storage.files import is_stored, read_stored
from detkit.ops.windows import Window

_JPEG = (".jpg", ".jpeg")
_JPEG_QUALITY = 95
_LOSSLESS_WEBP = 101


class ImagePlacer:
    """Puts images into a new folder.

    Args:
        copy: ``link``, ``copy`` or ``none``.
        total: Number of images of the data set, for the progress.
        progress: Called after each image with the number of images so far, and with ``total``.
    """

    def __init__(self, copy: str, total: int, progress: Callable[[int, int], None] | None = None) -> None:
        self._copy, self._total, self._progress = copy, total, progress
        self._done = 0
        self._folders: set[str] = set()
        self._last: tuple[str, ImageArray] | None = None

    def place(self, records: Records, targets: Sequence[str]) -> None:
        """Put the image of each record to its path in ``targets``; an image that is there already, as one of two parts, stays.

        Raises:
            ValueError: If an image that must be cut cannot be read, or nothing is to be copied.
        """
        for index, target in enumerate(targets):
            window = None if records.windows is None else Window(*records.windows[index].tolist())
            if window is not None and _is_whole(records.paths[index], window):
                window = None
            if self._copy == "none" and window is not None:
                raise ValueError(f"{records.paths[index]}: parts of images are files of their own; write them with --copy link or copy")
            if self._copy != "none" and not os.path.lexists(target):
                self._make_folder(target)
                self._write(records.paths[index], target, window)
            self._done += 1
            if self._progress is not None:
                self._progress(self._done, self._total)

    def _make_folder(self, target: str) -> None:
        folder = os.path.dirname(target)
        if folder not in self._folders:
            os.makedirs(folder, exist_ok=True)
            self._folders.add(folder)

    def _write(self, source: str, target: str, window: Window | None) -> None:
        if window is not None:
            encode(cut_window(self._pixels(source), window, source), Path(target))
        elif is_stored(source):
            Path(target).write_bytes(read_stored(source))
        elif self._copy != "link" or not _is_linked(os.path.realpath(source), target):
            shutil.copy2(source, target)

    def _pixels(self, source: str) -> ImageArray:
        """Return the pixels of a file; the last one is kept, because windows of one file follow each other."""
        if self._last is None or self._last[0] != source:
            self._last = (source, read_image(source))
        return self._last[1]


def _is_whole(path: str, window: Window) -> bool:
    """Return whether a window is the whole image of a file."""
    if window[:2] != (0, 0):
        return False
    size, orientation = stored_size(path)
    return window.size == (size if orientation < 5 else size[::-1])


def _is_linked(source: str, target: str) -> bool:
    """Make a hard link, or a symbolic one, and return whether one of them works."""
    for link in (os.link, os.symlink):
        try:
            link(source, target)
        except OSError:
            continue
        return True
    return False


def encode(image: ImageArray, path: Path) -> None:
    """Write pixels, ``(H, W, 3)`` RGB, in the format of the file's extension: JPEG at quality 95, every other one without loss.

    Raises:
        ValueError: If there is no encoder for the extension.
    """
    import cv2

    suffix = path.suffix.lower()
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if suffix in _JPEG else []
    quality = [cv2.IMWRITE_WEBP_QUALITY, _LOSSLESS_WEBP] if suffix == ".webp" else quality
    encoded, data = cv2.imencode(suffix, np.ascontiguousarray(image[..., ::-1]), quality)
    if not encoded:
        raise ValueError(f"{path}: images cannot be written as {suffix!r}; expected a name in .png or .jpg")
    path.write_bytes(data.tobytes())
