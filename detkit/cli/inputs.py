"""Expand the words of a command line to image files and, for some commands, videos."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from detkit.data.live.address import hide_credentials
from detkit.data.media.sample import sample_photograph

__all__ = ["image_files", "images_or_sample", "inputs_or_sample", "matches", "sample_photograph"]


def image_files(words: Sequence[str], videos: bool = False) -> list[Path]:
    """Return the files that words name: files, the images of folders (without subfolders), and matches of patterns.

    Patterns are expanded here, as shells on Windows do not; ``**`` matches nested folders. Each file is returned once, in order.
    A plain name that does not exist is returned too, to be reported with the files that cannot be read.

    Args:
        words: Files, folders and patterns.
        videos: Whether the videos of a folder are included.

    Raises:
        FileNotFoundError: If none of the files exists.
        ValueError: If a folder has no images, or a word is a URL.
    """
    files = list(dict.fromkeys(path for word in words for path in _expand(word, videos)))
    if not any(path.exists() for path in files):
        raise FileNotFoundError(
            f"no such image: {', '.join(str(path) for path in files[:3])}; give files, folders, or patterns such as 'photos/*.jpg'"
        )
    return files


def images_or_sample(words: Sequence[str], videos: bool = False) -> list[Path]:
    """Return :func:`image_files`, or without words :func:`sample_photograph`."""
    return image_files(words, videos) if words else [sample_photograph()]


def inputs_or_sample(words: Sequence[str]) -> list[Path | str]:
    """Return the images and videos that words name as :func:`image_files`, and cameras and network addresses as they were given.

    An existing file has precedence over a camera. Without words: :func:`sample_photograph`.

    Raises:
        FileNotFoundError: If there are only files, and none of them exists.
        ValueError: If a folder has no images, or a word is a URL that is not supported.
    """
    from detkit.data.live.address import Address, is_address, is_live_word

    inputs: dict[Path | str, None] = {}
    for word in words:
        if is_address(word):
            Address.parse(word)  # an address that cannot be right is refused at once
        live = is_address(word) or is_live_word(word)
        inputs |= dict.fromkeys([word] if live else _expand(word, videos=True))
    if words and all(isinstance(item, Path) and not item.exists() for item in inputs):
        return list(image_files(words, videos=True))  # raises the error
    return list(inputs) or [sample_photograph()]


def _expand(word: str, videos: bool) -> list[Path]:
    path = Path(word)
    if path.is_dir():
        return _images_in(path, videos)
    if path.exists():
        return [path]
    if "://" in word:
        raise ValueError(f"{hide_credentials(word)}: expected a file, got a URL; download the image and give its file")
    if not glob.has_magic(word):
        return [path]
    images = [image for match in matches(word) for image in (_images_in(match, videos, required=False) if match.is_dir() else [match])]
    if not images:
        raise FileNotFoundError(f"{word}: the pattern matches no file")
    return images


def matches(word: str) -> list[Path]:
    """Return the matches of a pattern; if there are none, take special characters in the name of an existing folder literally."""
    found = glob.glob(word, recursive=True)
    folder = next((parent for parent in Path(word).parents if parent.is_dir()), None)
    if not found and folder is not None and glob.has_magic(str(folder)):
        found = glob.glob(str(Path(glob.escape(str(folder))) / Path(word).relative_to(folder)), recursive=True)
    return [Path(match) for match in sorted(found)]


def _images_in(folder: Path, videos: bool, required: bool = True) -> list[Path]:
    from detkit.data.media.extensions import VIDEO_EXTENSIONS
    from detkit.data.media.files import visible
    from detkit.data.media.images import IMAGE_EXTENSIONS

    extensions = (*IMAGE_EXTENSIONS, *VIDEO_EXTENSIONS) if videos else IMAGE_EXTENSIONS
    images = [path for path in visible(folder.iterdir()) if path.suffix.lower() in extensions and path.is_file()]
    if not images and required:
        folders = sum(path.is_dir() for path in folder.iterdir())
        advice = f"; for the images of its {folders} subfolders, give '{folder}/**/*.jpg'" if folders else ""
        raise ValueError(f"{folder}: the folder has no images ({', '.join(IMAGE_EXTENSIONS[:4])}, ...){advice}")
    return images
