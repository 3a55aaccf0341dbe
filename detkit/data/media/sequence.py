"""Images in numbered files as one source of frames: folders of extracted frames, and sequences of MOTChallenge."""

from __future__ import annotations

import configparser
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from detkit.data.media.files import visible
from detkit.data.media.images import IMAGE_EXTENSIONS, read_image
from detkit.data.media.source import Frame

DEFAULT_RATE = 25.0
"""Frame rate of images that state none."""
_MOT_IMAGES = "img1"
"""Folder of the images of a sequence of MOTChallenge; the folder around it has the name."""

_log = logging.getLogger(__name__)


def natural_key(path: str | Path) -> tuple[tuple[int, int | str], ...]:
    """Return a key that sorts names with numbers by their values: ``frame_9`` before ``frame_10``."""
    parts = re.split(r"(\d+)", str(path))
    return tuple((1, int(part)) if part.isdecimal() else (0, part.casefold()) for part in parts)


class ImageSequence:
    """Images of equal size that are the frames of a video, in the natural order of their names.

    Args:
        paths: The files, in any order.
        frames_per_second: Their frame rate; None: that of MOTChallenge's ``seqinfo.ini``, or else :data:`DEFAULT_RATE`.
        name: Name of the sequence; None: the folder of the files.

    Attributes:
        paths: The files in order.
        name: The folder of the files, or what was given.
        live: False, as images wait for the reader.
        frames_per_second: The frame rate.
        length: Number of files.
        lost: Number of files that the last iteration over :meth:`frames` could not read; a warning names each.

    Raises:
        ValueError: If there are no files, or the frame rate is not positive.
    """

    def __init__(self, paths: Sequence[Path], frames_per_second: float | None = None, name: str | None = None) -> None:
        if not paths:
            raise ValueError("ImageSequence: expected at least one image, got none")
        if frames_per_second is not None and not frames_per_second > 0:
            raise ValueError(f"ImageSequence: frames_per_second: expected a number above 0, got {frames_per_second}")
        self.paths = sorted(paths, key=natural_key)
        self._folder = self.paths[0].parent
        self.name = str(self._folder) if name is None else name
        self.frames_per_second: float | None = frames_per_second or _stated_rate(self._folder) or DEFAULT_RATE
        self.length: int | None = len(self.paths)
        self.live = False
        self.lost = 0

    @classmethod
    def of_folder(cls, folder: str | Path, frames_per_second: float | None = None) -> ImageSequence:
        """Return the images of a folder, or of its ``img1`` if it is a sequence of MOTChallenge.

        Raises:
            FileNotFoundError: If there is no such folder.
            ValueError: If it has no images.
        """
        folder = Path(folder)
        inner = folder / _MOT_IMAGES
        images = images_in(inner if inner.is_dir() else folder)
        if not images:
            raise ValueError(f"{folder}: the folder has no images ({', '.join(IMAGE_EXTENSIONS[:4])}, ...)")
        return cls(images, frames_per_second, str(folder))

    @property
    def stem(self) -> str:
        """The name of the folder; of MOTChallenge's ``NAME/img1`` that of the sequence."""
        folder = self._folder.resolve()
        return (folder.parent if folder.name == _MOT_IMAGES else folder).name or "images"

    def frames(self, every: int = 1) -> Iterator[Frame]:
        """Yield every ``every``-th image, starting with the first; one that cannot be read is skipped, and keeps its index.

        Raises:
            ValueError: If ``every`` is not positive, an image differs in size from the first, or none can be read.
        """
        if every < 1:
            raise ValueError(f"every: expected 1 or more, got {every}")
        self.lost = 0
        shape: tuple[int, ...] | None = None
        for index in range(0, len(self.paths), every):
            path = self.paths[index]
            try:
                pixels = read_image(path)
            except (OSError, ValueError, MemoryError) as error:
                self.lost += 1
                _log.warning("skipped: %s", error)
                continue
            shape = shape or pixels.shape
            if pixels.shape != shape:
                sizes = " x ".join(map(str, shape[1::-1])), " x ".join(map(str, pixels.shape[1::-1]))
                raise ValueError(f"{path}: expected {sizes[0]} pixels as in {self.paths[0].name}, got {sizes[1]}: not frames of one video")
            yield Frame(index, index / (self.frames_per_second or DEFAULT_RATE), pixels)
        if shape is None:
            raise ValueError(f"{self.name}: none of the {len(self.paths)} images can be read")


def images_in(folder: Path) -> list[Path]:
    """Return the images in a folder, not in its subfolders."""
    return [path for path in visible(folder.iterdir()) if path.suffix.lower() in IMAGE_EXTENSIONS and path.is_file()]


def _stated_rate(folder: Path) -> float | None:
    """Return the frame rate of MOTChallenge's ``seqinfo.ini`` next to the folder of the images, if there is one."""
    parser = configparser.ConfigParser()
    try:
        parser.read(folder.parent / "seqinfo.ini", "utf-8")
        rate = parser.getfloat("Sequence", "frameRate", fallback=0.0)
    except (configparser.Error, ValueError, OSError):
        return None
    return rate if 0 < rate < 1e4 else None
