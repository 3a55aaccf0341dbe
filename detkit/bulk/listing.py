"""The images that words of a command line name, one after the other: only the names of one shard are kept."""

from __future__ import annotations

import glob
import io
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from detkit.bulk.shard import Shard, full_hash
from detkit.data.live.address import Address, hide_credentials, is_address, is_live_word
from detkit.data.media.extensions import VIDEO_EXTENSIONS, is_video
from detkit.data.media.images import IMAGE_EXTENSIONS
from detkit.data.storage import addresses
from detkit.data.storage.files import read_stored

_PLAIN = re.compile(r"/?(?:(?!\.(?:/|$))[^/\\]+(?:/(?=[^/])|$))+$")
"""A path that ``pathlib`` leaves as it is; making one takes ten times as long as this test."""
LIST_ENDING = ".txt"
"""Ending of a file that lists images, one on each line."""


@dataclass(frozen=True)
class Listing:
    """The images of one shard, and what identifies the images of all shards.

    Attributes:
        paths: The files and addresses of the shard as they are opened, ordered by :func:`row_name`; no name is repeated.
        count: Number of images that were listed for all shards, repeated ones included.
        digest: Sum of the hashes of their names, as 32 hexadecimal digits: equal if the same images were listed, in any order.
    """

    paths: Sequence[str]
    count: int
    digest: str


def list_images(words: Iterable[str], shard: Shard) -> Listing:
    """Return the images of a shard among those that words name.

    The memory is that of the names in the shard, about 100 bytes each, whatever the number of images.

    Args:
        words: Images; folders, whose images are taken without subfolders; patterns, where ``**`` matches nested folders; ``http`` and
            ``https`` addresses, and those of object storage such as ``s3://bucket/a.jpg``; and files and addresses that end in ``.txt``,
            with one image on each line, relative to the working directory.
        shard: The shard.

    Raises:
        FileNotFoundError: If a pattern matches nothing, or only files are named and none exists.
        ValueError: If a folder or a list has no images, or a word names a video, a camera or a stream.
        OSError: If a list cannot be read.
    """
    paths: list[str] = []
    count = total = 0
    for path in _checked(words):
        number = full_hash(row_name(path))
        count, total = count + 1, total + number
        if (number & 0xFFFFFFFFFFFFFFFF) % shard.count == shard.index:
            paths.append(path)
    paths.sort(key=row_name)
    return Listing(list(_without_repetitions(paths)), count, f"{total % (1 << 128):032x}")


def row_name(path: str) -> str:
    """Return the name of an image in results: its path with slashes, or its address without a password.

    Bytes of a file name that are not UTF-8 are written as escapes, such as backslash udce9.
    """
    if ":" in path and is_address(path):
        name = Address.parse(path).name
    elif ":" in path and addresses.is_address(path):
        name = hide_credentials(path)
    else:
        name = path if os.sep == "/" else path.replace(os.sep, "/")
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode("utf-8")


def _without_repetitions(paths: Iterable[str]) -> Iterator[str]:
    last = None
    for path in paths:
        name = row_name(path)
        if name != last:
            yield path
        last = name


def _checked(words: Iterable[str]) -> Iterator[str]:
    """Yield the images of all words; raise if they are files of which none exists."""
    missing: list[str] = []
    some = False
    for word in words:
        is_missing = not is_address(word) and "://" not in word and not glob.has_magic(word) and not Path(word).exists()
        missing += [word] if is_missing else []
        some = some or not is_missing
        yield from _expand(word)
    if missing and not some:
        raise FileNotFoundError(f"no such image: {', '.join(missing[:3])}; give files, folders, patterns, or a .txt file that lists images")


def _expand(word: str) -> Iterator[str]:
    path = Path(word)
    if (is_address(word) and path.suffix.lower() != LIST_ENDING) or is_live_word(word):
        yield _address(word)
    elif path.is_dir():
        yield from _some(_images_in(str(path)), f"{word}: the folder has no images ({', '.join(IMAGE_EXTENSIONS[:4])}, ...)")
    elif path.suffix.lower() == LIST_ENDING and (path.exists() or addresses.is_address(word)):
        yield from _some(_listed(word), f"{addresses.shown(word)}: the list has no images; expected one on each line")
    elif path.exists() or not glob.has_magic(word):
        yield _image(word)
    else:
        yield from _matches(word)


def _address(word: str) -> str:
    if is_live_word(word):
        raise ValueError(f"--shard: expected images, got the camera or stream {hide_credentials(word)}; detect on it without --shard")
    Address.parse(word)
    return word


def _image(word: str) -> str:
    if "://" in word:
        return addresses.checked_address(word)
    if os.path.splitext(word)[1].lower() in VIDEO_EXTENSIONS:
        raise ValueError(f"--shard: expected images, got the video {word}; detect on it without --shard")
    return word if _PLAIN.match(word) else str(Path(word))


def _listed(path: str) -> Iterator[str]:
    with _opened(path) as file:
        for line in file:
            word = line.strip()
            if word:
                yield _address(word) if ":" in word and is_address(word) else _image(word)


def _opened(path: str) -> IO[str]:
    content = io.BytesIO(read_stored(path)) if addresses.is_address(path) else open(path, "rb")  # noqa: SIM115
    return io.TextIOWrapper(content, "utf-8-sig", "surrogateescape")


def _matches(word: str) -> Iterator[str]:
    """Yield the images that a pattern matches; special characters of an existing folder's name are taken literally if nothing matches."""
    count = 0
    for match in _glob(word):
        count += 1
        if os.path.isdir(match):
            yield from _images_in(match)
        elif not is_video(match):
            yield str(Path(match))
    if not count:
        raise FileNotFoundError(f"{word}: the pattern matches no file")


def _glob(word: str) -> Iterator[str]:
    folder = next((parent for parent in Path(word).parents if parent.is_dir()), None)
    if folder is not None and glob.has_magic(str(folder)) and not any(True for _ in glob.iglob(word, recursive=True)):
        word = str(Path(glob.escape(str(folder))) / Path(word).relative_to(folder))
    return glob.iglob(word, recursive=True)


def _images_in(folder: str) -> Iterator[str]:
    """Yield the images directly in a folder, hidden ones excluded, in no particular order."""
    with os.scandir(folder) as entries:
        for entry in entries:
            ending = os.path.splitext(entry.name)[1].lower()
            if ending in IMAGE_EXTENSIONS and not entry.name.startswith(".") and not os.path.isdir(entry):
                yield str(Path(folder, entry.name))


def _some(paths: Iterator[str], message: str) -> Iterator[str]:
    """Yield the paths; raise if there are none."""
    is_empty = True
    for path in paths:
        is_empty = False
        yield path
    if is_empty:
        raise ValueError(message)
