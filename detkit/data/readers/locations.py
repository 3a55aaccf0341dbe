"""The images that label files name, found in the data folder whatever the paths look like that a tool has written."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from detkit.data.media.files import files_below
from detkit.data.media.images import IMAGE_EXTENSIONS
from detkit.data.report import ReadIssue, ReadReport
from detkit.data.storage.addresses import address_of, checked_address, is_address, joined

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")
_DRIVE = re.compile(r"^[A-Za-z]:")


def is_below(folder: str | Path, file: str | Path) -> bool:
    """Return whether ``file``, an absolute path, is below the folder, by comparing names only."""
    return Path(os.path.normpath(file)).is_relative_to(os.path.abspath(folder))


def is_disk_root(folder: Path) -> bool:
    """Return whether a folder is the root of a disk, which is never a data folder."""
    resolved = folder.resolve()
    return resolved == resolved.parent


def plain_path(name: str) -> str:
    """Return a path as tools write it with slashes only, and without ``file://``, a server, or what is before Label Studio's ``?d=``."""
    path = name.replace("\\", "/")
    if (scheme := _SCHEME.match(path)) is not None:
        host_and_path = path[scheme.end() :]
        path = host_and_path[max(0, host_and_path.find("/")) :]
    return path.partition("?d=")[2] or path


class ImageFinder:
    """Find images below a folder by the names in a label file.

    A name is a path relative to the folder, or an absolute path below it; the case of the file's own name may differ, and ``%20`` may
    stand for a space. If most names are no such paths, as after a move to another machine, then an image is found by its plain name if
    only one image below the folder has it, or only one has the most of the path in common.

    The folder may be an address: then names are relative to it, or addresses that begin with it.

    Args:
        folder: The data folder, or the beginning of the addresses of the images.
        source: Name of the data, for messages.
        outside: Whether absolute paths, paths that climb out of the folder, and addresses may be used as they are.
    """

    def __init__(self, folder: Path, source: str, *, outside: bool = False) -> None:
        self.folder, self.source, self.outside = folder, source, outside
        self._address = address_of(folder)
        self._prefix = str(folder).replace(os.sep, "/").rstrip("/") + "/"
        self._listed: dict[str, set[str]] = {}
        self._folded: dict[str, dict[str, list[str]]] = {}

    def find(self, names: Sequence[str], report: ReadReport) -> list[str]:
        """Return the path of each image; paths that do not exist for those that are not found.

        Raises:
            ValueError: If a name leads out of the folder, and no image below it has its plain name.
        """
        if self._address is not None:
            return [self._remote(name, self._address) for name in names]
        found: list[str | None] = [self._as_written(name) for name in names]
        plain = [name if path else plain_path(name) for name, path in zip(names, found, strict=True)]
        direct = [path or self._direct(name) for name, path in zip(plain, found, strict=True)]
        found = [path or (planned and self._existing(planned)) for path, planned in zip(found, direct, strict=True)]
        missing = [index for index, path in enumerate(found) if path is None]
        if 2 * len(missing) > len(names):
            self._find_by_name(plain, found, report)
        for index in missing:
            if found[index] is None and self.outside and is_address(names[index]):
                found[index] = checked_address(names[index])
            elif found[index] is None and direct[index] is None:
                raise ValueError(
                    f"{self.source}: the image {names[index]!r} is outside the image folder {self.folder}; expected a path inside it; "
                    "correct the labels, or allow such paths with outside=true"
                )
        self._listed.clear()
        self._folded.clear()
        return [path or planned or "" for path, planned in zip(found, direct, strict=True)]

    def has_path(self, name: str) -> bool:
        """Return whether a name is a path to an image in the folder; below an address, whether it can be one."""
        if self._address is not None:
            return is_address(name) or not os.path.isabs(name)
        direct = self._direct(plain_path(name))
        return (self._as_written(name) or (direct and self._existing(direct))) is not None

    def has_name(self, name: str) -> bool:
        """Return whether an image below the folder has the plain name of ``name``."""
        return self._by_plain_name(plain_path(name)) is not None

    def _remote(self, name: str, base: str) -> str:
        """Return the address of a name.

        Raises:
            ValueError: If it is not below the address that the user named.
        """
        if not is_address(name):
            return checked_address(joined(base, name.replace("\\", "/").removeprefix("./")))
        address = checked_address(name)
        if not self.outside and not address.startswith(f"{base}/"):
            raise ValueError(
                f"{self.source}: the image {name!r} is not below {base}, the address that was named; expected one that begins with it; "
                "name another beginning as images, or allow all addresses with outside=true"
            )
        return address

    def _as_written(self, name: str) -> str | None:
        """Return the path of a name that exists as it is written, whatever characters are in it."""
        if "./" in name or "//" in name or ".." in name or os.path.isabs(name):
            return None
        path = f"{self._prefix}{name}"
        return path if self._is_listed(path) else None

    def _find_by_name(self, names: list[str], found: list[str | None], report: ReadReport) -> None:
        """Fill in the images that are found by their plain names; an image is not used twice."""
        proposed = {index: self._by_plain_name(names[index]) for index, path in enumerate(found) if path is None}
        used = Counter([*found, *proposed.values()])
        for index, path in proposed.items():
            if path is not None and used[path] == 1:
                found[index] = path
                report.add(ReadIssue.FOUND_BY_NAME, os.path.basename(names[index]), detail=path)

    def _direct(self, path: str) -> str | None:
        """Return the path that a name means, or None if it leads out of the folder."""
        normal = os.path.normpath(path).replace("\\", "/")  # under Windows, normpath returns backslashes
        if os.path.isabs(path):
            return normal if self.outside or is_below(self.folder, normal) else None
        if _DRIVE.match(path):
            return None
        if normal == ".." or normal.startswith("../"):
            return os.path.normpath(self.folder / normal) if self.outside else None
        return f"{self._prefix}{normal}"

    def _existing(self, path: str) -> str | None:
        """Return the path of a file that exists, maybe with its name in another case; None if there is none.

        Each folder is listed once, because checking every file is slow on network disks.
        """
        if self._is_listed(path):
            return path
        folder, _, name = path.rpartition("/")
        if folder not in self._folded:
            self._folded[folder] = _by_key(self._listed[folder])
        same = self._folded[folder].get(_key(name), [])
        return os.path.join(folder, same[0]) if len(same) == 1 else None

    def _is_listed(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        names = self._listed.get(folder)
        if names is None:
            names = self._listed[folder] = _listing(folder or "/")
        return name in names

    def _by_plain_name(self, path: str) -> str | None:
        paths = self._by_name.get(_key(os.path.basename(path)), [])
        if len(paths) < 2:
            return next(iter(paths), None)
        parts = [_key(part) for part in path.split("/")]
        shared = [_common_end(parts, [_key(part) for part in other.replace("\\", "/").split("/")]) for other in paths]
        return paths[shared.index(max(shared))] if shared.count(max(shared)) == 1 else None

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        """Paths of all images below the folder by their plain names; empty if there are too many files."""
        if is_disk_root(self.folder):
            return {}
        names: dict[str, list[str]] = {}
        try:
            for path in files_below(self.folder):
                if path.suffix.lower() in IMAGE_EXTENSIONS:
                    names.setdefault(_key(path.name), []).append(str(path))
        except ValueError:
            return {}
        return names


def _key(name: str) -> str:
    return unquote(name).casefold()


def _common_end(one: list[str], other: list[str]) -> int:
    count = 0
    for first, second in zip(reversed(one), reversed(other), strict=False):
        if first != second:
            break
        count += 1
    return count


def _listing(folder: str) -> set[str]:
    try:
        return set(os.listdir(folder))
    except (OSError, ValueError):  # a zero byte in the path
        return set()


def _by_key(names: Iterable[str]) -> dict[str, list[str]]:
    """Return names by what is compared of them."""
    keys: dict[str, list[str]] = {}
    for name in names:
        keys.setdefault(_key(name), []).append(name)
    return keys
