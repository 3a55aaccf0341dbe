"""Names and ids of parts and images in a data set that is written: kept where the format allows it, and recorded where they change."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from detkit.curation.parts import WHOLE, LabeledParts, Part
from detkit.data.readers.protocol import find_split, is_split_name
from detkit.data.records import ImageId, Records
from detkit.data.writers.protocol import Holds

MAPPING = "mapping.csv"
"""File with the old and new names and ids of all images."""

ENCODED = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
"""Extensions of images that are cut out of others."""

_SPLITS = ("train", "val", "test")
_CLASS_LIST_ENDING = re.compile(r"_(train|val|trainval|test)$")
"""Endings of the names of VOC's lists for single classes."""


@dataclass(frozen=True)
class NewPart:
    """A part with the name that it is written by, and the names and ids of its images there.

    Attributes:
        name: Its name in the new data set.
        part: The part as it was read.
        names: For each image its path in the image folder.
        image_ids: Its ids; the names of formats that have no ids of their own.
    """

    name: str
    part: Part
    names: tuple[str, ...]
    image_ids: tuple[ImageId, ...]

    @property
    def renamed(self) -> int:
        """Number of images whose name changes."""
        return sum(old != new for old, new in zip(self.part.names, self.names, strict=True))


@dataclass(frozen=True)
class Naming:
    """All names and ids in a data set that is written.

    Attributes:
        parts: Its parts by their names in the source.
        keeps_ids: Whether the images keep their ids.
        has_ids: Whether the format has ids.
    """

    parts: Mapping[str, NewPart]
    keeps_ids: bool
    has_ids: bool

    @classmethod
    def of(cls, data: LabeledParts, kind: str, holds: Holds) -> Naming:
        """Return the names that a data set gets in a format.

        Raises:
            ValueError: If the format has no place for the parts.
        """
        part_names = _part_names(tuple(data.parts), kind, holds)
        names = image_names(data, holds)
        keeps = holds.image_ids and all(_are_numbers(part.data.records.image_ids) for _, part in data)
        parts, count = {}, 0
        for old, part in data:
            numbers = tuple(range(count + 1, count + len(part) + 1))
            count += len(part)
            ids = part.data.records.image_ids if keeps else numbers if holds.image_ids else names[old]
            parts[old] = NewPart(part_names[old], part, names[old], ids)
        return cls(parts, keeps, holds.image_ids)

    @property
    def lost_ids(self) -> int:
        """Number of images with an id other than their name, in a format that has no ids."""
        if self.has_ids:
            return 0
        return sum(_is_published(image_id, path) for new in self.parts.values() for image_id, path in _ids_and_paths(new.part))

    def notes(self) -> list[str]:
        """Return lines about everything that gets another name or id."""
        lines = [f"part {old} is called {new.name}" for old, new in self.parts.items() if new.name != old]
        renamed = sum(new.renamed for new in self.parts.values())
        if renamed:
            example = next(
                pair for new in self.parts.values() for pair in zip(new.part.names, new.names, strict=True) if pair[0] != pair[1]
            )
            lines.append(f"images renamed: {renamed:,}, such as {example[0]} to {example[1]}; all names are in {MAPPING}")
        if self.has_ids and not self.keeps_ids:
            lines.append(f"images are numbered from 1; their old and new ids are in {MAPPING}")
        elif self.lost_ids:
            lines.append(f"image ids of the source are in {MAPPING}")
        return lines

    def mapping(self) -> str:
        """Return the table of old and new names and ids; empty if all stay as they are."""
        if not any(new.renamed for new in self.parts.values()) and not self.lost_ids and (self.keeps_ids or not self.has_ids):
            return ""
        table = io.StringIO(newline="")
        rows = csv.writer(table, lineterminator="\n")
        rows.writerow(("part", "old path", "new name", "old id", "new id"))
        for new in self.parts.values():
            new_ids = new.image_ids if self.has_ids else ("",) * len(new.names)
            for (old_id, path), name, new_id in zip(_ids_and_paths(new.part), new.names, new_ids, strict=True):
                rows.writerow((new.name, path, name, old_id, new_id))
        return table.getvalue()


def _are_numbers(image_ids: tuple[ImageId, ...]) -> bool:
    """Return whether ids are different whole numbers, as the labels of a part need them."""
    return all(isinstance(image_id, int) for image_id in image_ids) and len(set(image_ids)) == len(image_ids)


def _ids_and_paths(part: Part) -> Iterator[tuple[ImageId, str]]:
    return zip(part.data.records.image_ids, part.data.records.paths, strict=True)


def _is_published(image_id: ImageId, path: str) -> bool:
    """Return whether an id is more than the path of its image, which formats without ids have instead."""
    return isinstance(image_id, int) or not PurePosixPath(Path(path).as_posix()).with_suffix("").as_posix().endswith(
        str(PurePosixPath(image_id).with_suffix(""))
    )


def _part_names(names: tuple[str, ...], kind: str, holds: Holds) -> dict[str, str]:
    """Return the names of the parts in a format.

    Raises:
        ValueError: If it has no place for one of them, or only one for two.
    """
    new = {name: _part_name(name, holds, is_only=len(names) == 1) for name in names}
    for name, other in new.items():
        if other is None:
            raise ValueError(
                f"part {name!r}: {kind} data have parts called {', '.join(_SPLITS)} only; write coco or voc, or give the parts with --parts"
            )
    if len(set(new.values())) < len(names):
        raise ValueError(f"{kind} data have one part each called {', '.join(_SPLITS)}, got {', '.join(names)}; choose some with --parts")
    return {name: other for name, other in new.items() if other is not None}


def _part_name(name: str, holds: Holds, *, is_only: bool) -> str | None:
    if holds.parts == "any":
        plain = name.replace("/", "-")
        return _CLASS_LIST_ENDING.sub(r"-\1", plain) if holds.one_folder else plain
    if holds.parts == "splits" and is_split_name(name):
        return name
    return next((split for split in _SPLITS if find_split(split, (name,)) is not None), WHOLE if is_only else None)


def image_names(data: LabeledParts, holds: Holds) -> dict[str, tuple[str, ...]]:
    """Return the name of each image of each part in a format.

    Where two images of a part, or of all parts in a format with one folder for all, would share a file or a label file, the later one
    gets a number. Names that differ only by case count as equal, as on Windows and macOS. The same file in two parts keeps its name.
    """
    names: dict[str, tuple[str, ...]] = {}
    shared = _Scope(holds, list(data.parts.values()))
    for name, part in data:
        scope = shared if holds.one_folder else _Scope(holds, [part])
        names[name] = tuple(scope.names(part))
    return names


class _Scope:
    """The names in one image folder.

    Args:
        holds: Whether images share the folder with those of other parts, and whether they collide if only their extensions differ.
        parts: All parts whose images are in it; the first image with a name keeps it.
    """

    def __init__(self, holds: Holds, parts: list[Part]) -> None:
        self._holds = holds
        self._used: dict[str, tuple[object, ...]] = {}
        self._reserved = {self._key(name) for part in parts for name in part.names}

    def names(self, part: Part) -> Iterator[str]:
        """Yield the names of the images of a part."""
        windows = part.data.records.windows
        seen: set[str] = set()
        for index, name in enumerate(part.names):
            new = self._unused(name if windows is None else _encodable(name), self._image(part.data.records, index), seen)
            seen.add(self._key(new))
            yield new

    def _image(self, records: Records, index: int) -> tuple[object, ...]:
        """Return a value that equals that of the same file with the same labels in another part."""
        if not self._holds.one_folder:
            return ()
        rows = slice(records.offsets[index], records.offsets[index + 1])
        window = None if records.windows is None else records.windows[index].tobytes()
        return (records.paths[index], window, records.boxes[rows].tobytes(), records.labels[rows].tobytes())

    def _unused(self, name: str, image: tuple[object, ...], seen: set[str]) -> str:
        """Return a name that no other image has; the same image in another part is no other."""
        path, number = PurePosixPath(name), 1
        key = self._key(name)
        while (key in self._used and (key in seen or self._used[key] != image)) or (number > 1 and key in self._reserved):
            number += 1
            name = str(path.with_name(f"{path.stem}-{number}{path.suffix}"))
            key = self._key(name)
        self._used[key] = image
        return name

    def _key(self, name: str) -> str:
        text = str(PurePosixPath(name).with_suffix("")) if self._holds.stems else name
        return unicodedata.normalize("NFC", text).casefold()


def _encodable(name: str) -> str:
    """Return the name of an image that is cut out of another, with an extension that can be encoded."""
    path = PurePosixPath(name)
    return name if path.suffix.lower() in ENCODED else str(path.with_suffix(".png"))
