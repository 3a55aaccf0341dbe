"""Sources of frames that the words of ``detkit track`` name."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.cli.inputs import matches
from detkit.cli.report import count
from detkit.cli.results.failures import Failures

if TYPE_CHECKING:
    from detkit.data.media.source import FrameSource


def open_sources(words: Sequence[str], rate: float | None, failures: Failures) -> list[FrameSource]:
    """Return the sources that words name, in order; one that cannot be opened is reported, and the others remain.

    Args:
        words: Video files, folders, patterns, cameras and addresses. Image files are frames of one sequence for each folder.
        rate: Frame rate of images; None: what the folder states, or the default.
        failures: Gets those that cannot be opened.

    Raises:
        FileNotFoundError, ValueError, OSError: If none can be opened: the error of the first.
    """
    sources: dict[str, FrameSource] = {}
    errors: dict[str, Exception] = {}
    for name, item in _items(words):
        try:
            if isinstance(item, Exception):
                raise item
            source = _opened(item, rate)
            sources.setdefault(source.name, source)
        except (OSError, ValueError) as error:
            errors[name] = error
    if not sources:
        raise next(iter(errors.values()))
    for name, reason in errors.items():
        failures.add(name, reason)
    return list(sources.values())


def _items(words: Sequence[str]) -> Iterator[tuple[str, object]]:
    """Yield each source with its name: a word, a video file, a folder, or the images of a folder; or the error of finding it."""
    from detkit.data.live.address import hide_credentials, is_address, is_live_word

    images: dict[Path, list[Path]] = {}
    for word in words:
        if is_live_word(word) or is_address(word):
            yield hide_credentials(word), word
            continue
        try:
            found = _files(word)
        except (OSError, ValueError) as error:
            yield word, error
            continue
        for path in found:
            if _is_image(path):
                images.setdefault(path.parent, []).append(path)
            else:
                yield str(path), path
    for folder, paths in images.items():
        yield str(folder), list(dict.fromkeys(paths))


def _files(word: str) -> list[Path]:
    """Return the videos, images and folders of images that a word names; a plain name also if it does not exist.

    Raises:
        FileNotFoundError: If a pattern matches no file.
        ValueError: If a folder has neither videos nor images, or both.
    """
    path = Path(word)
    if path.is_dir():
        return _in_folder(path)
    if path.exists() or not glob.has_magic(word):
        return [path]
    found = matches(word)
    if not found:
        raise FileNotFoundError(f"{word}: the pattern matches no file")
    return [file for match in found for file in (_in_folder(match) if match.is_dir() else [match])]


def _in_folder(folder: Path) -> list[Path]:
    """Return the videos in a folder, or the folder itself if it has images.

    Raises:
        ValueError: If it has neither, or both.
    """
    from detkit.data.media.extensions import is_video
    from detkit.data.media.files import visible
    from detkit.data.media.sequence import images_in, natural_key

    videos = sorted((path for path in visible(folder.iterdir()) if is_video(path) and path.is_file()), key=natural_key)
    images = images_in(folder)
    if videos and images:
        both = f"{count(len(videos), 'video')} and {count(len(images), 'image')}"
        raise ValueError(f"{folder}: the folder has {both}; name which with a pattern, such as '{folder}/*{videos[0].suffix}'")
    return videos or [folder]


def _is_image(path: Path) -> bool:
    from detkit.data.media.images import IMAGE_EXTENSIONS

    return path.suffix.lower() in IMAGE_EXTENSIONS and not path.is_dir()


def _opened(item: object, rate: float | None) -> FrameSource:
    from detkit.data.live.open import open_source
    from detkit.data.media.sequence import ImageSequence

    if isinstance(item, list):
        return ImageSequence(item, rate)
    if isinstance(item, Path) and item.is_dir():
        return ImageSequence.of_folder(item, rate)
    return open_source(str(item))
