"""A labeled data set with all its parts (train, val, test), which commands on data read, change and write."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from detkit.arrays import Flags, Integers
from detkit.data import ClassMapping, DetectionData, SourceConfig, read_source, splits_of
from detkit.data.storage.addresses import stored_name

_log = logging.getLogger(__name__)

WHOLE = "train"
"""Name of the only part of a data set that is not divided: every format has a place for training images."""


@dataclass(frozen=True, eq=False)
class Part:
    """One part of a data set.

    Attributes:
        data: Its images and labels.
        names: For each image its path in the image folder of the part, with forward slashes and subfolders; the name that it is written by.
    """

    data: DetectionData
    names: tuple[str, ...]

    @classmethod
    def of(cls, data: DetectionData) -> Part:
        """Return the part of images that keep the names they have."""
        return cls(data, image_names(data))

    def __post_init__(self) -> None:
        if len(self.names) != len(self.data):
            raise ValueError(f"{self.data.name}: {len(self.data)} images but {len(self.names)} names; give one each")

    def __len__(self) -> int:
        return len(self.data)

    def take(self, images: Iterable[int]) -> Part:
        """Return the images of the given indices, in the given order."""
        indices = list(images)
        return Part(self.data.take(indices), tuple(self.names[index] for index in indices))

    def where(self, keep: Flags, labels: Integers | None = None) -> Part:
        """Return all images with only the boxes where ``keep``, ``(N,)`` bool, is set; with new labels ``(N,)`` if given."""
        return replace(self, data=replace(self.data, records=self.data.records.where(keep, labels), coco_file=None))


@dataclass(frozen=True, eq=False)
class LabeledParts:
    """A data set whose parts have the same classes in the same order.

    Attributes:
        name: Where it came from, for messages.
        parts: The parts by name, at least one; a data set that is not divided has the part ``train``.
    """

    name: str
    parts: Mapping[str, Part]

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError(f"{self.name}: it has no parts; expected at least one")
        names = {part.data.class_names for part in self.parts.values()}
        if len(names) > 1:
            raise ValueError(f"{self.name}: its parts have different classes; give all parts the same")

    def __iter__(self) -> Iterator[tuple[str, Part]]:
        return iter(self.parts.items())

    @property
    def class_names(self) -> tuple[str, ...]:
        """The class names, by label."""
        return next(iter(self.parts.values())).data.class_names

    @property
    def category_ids(self) -> tuple[int, ...]:
        """The id of each class in the data set."""
        return next(iter(self.parts.values())).data.category_ids

    @property
    def image_count(self) -> int:
        """Number of images in all parts."""
        return sum(len(part) for part in self.parts.values())

    @property
    def box_count(self) -> int:
        """Number of boxes in all parts."""
        return sum(len(part.data.records.labels) for part in self.parts.values())

    def map(self, change: Callable[[Part], Part]) -> LabeledParts:
        """Return the data set with every part changed by a function."""
        return replace(self, parts={name: change(part) for name, part in self})

    def report_lines(self) -> list[str]:
        """Return the lines of the readers' reports, each line once."""
        return list(dict.fromkeys(line for _, part in self for line in part.data.report.summary()))


def read_parts(source: SourceConfig | str | Path, only: Sequence[str] = ()) -> LabeledParts:
    """Read all parts of a data set, or those named ``only``, with one list of classes.

    A part whose images are all in other parts, such as VOC's ``trainval``, is left out and logged, unless it is named.

    Raises:
        FileNotFoundError: If the path does not exist.
        ValueError: If the format is not recognized, the data cannot be used, or there is no such part.
    """
    config = source if isinstance(source, SourceConfig) else SourceConfig(path=str(source))
    read = read_splits(config, only)
    if UNDIVIDED in read:
        return LabeledParts(config.path, {WHOLE: Part.of(read[UNDIVIDED])})
    return of_data(config.path, read)


UNDIVIDED = ""
"""Name under which :func:`read_splits` returns data that is not divided."""


def read_splits(config: SourceConfig, only: Sequence[str] = ()) -> dict[str, DetectionData]:
    """Read all splits of a data set, or those named ``only``, each with its own classes; see :func:`read_parts`."""
    config = config.replace(difficult="object")  # the flag is kept as it is; a training decides what it means
    names = tuple(only) or ((config.split,) if config.split else splits_of(config))
    if not names:
        return {UNDIVIDED: read_source(config)}
    read = {name: read_source(config.replace(split=name)) for name in names}
    return read if only else without_unions(read)


def of_data(name: str, parts: Mapping[str, DetectionData]) -> LabeledParts:
    """Return a data set of parts that were read; their classes are combined by name, in the order in which they first occur."""
    names = tuple(dict.fromkeys(class_name for data in parts.values() for class_name in data.class_names))
    ids: dict[str, int] = {}
    for data in parts.values():
        for class_name, category_id in zip(data.class_names, data.category_ids, strict=True):
            ids.setdefault(class_name, category_id)
    category_ids = tuple(ids[class_name] for class_name in names)
    if len(set(category_ids)) < len(names):
        category_ids = tuple(range(1, len(names) + 1))
    return LabeledParts(name, {part: Part.of(_with_classes(data, names, category_ids)) for part, data in parts.items()})


def image_names(data: DetectionData) -> tuple[str, ...]:
    """Return the path of each image in its image folder, with forward slashes; only its own name where it is outside."""
    root = data.image_root or _common_folder(data.records.paths)
    return tuple(_relative(path, root) for path in data.records.paths)


def _relative(path: str, root: str) -> str:
    stored = stored_name(path)
    if stored is not None:
        return stored
    name = os.path.relpath(os.path.abspath(path), os.path.abspath(root))
    return os.path.basename(path) if name.startswith("..") or os.path.isabs(name) else name.replace(os.sep, "/")


def _common_folder(paths: Sequence[str]) -> str:
    folders = {os.path.dirname(os.path.abspath(path)) for path in paths}
    try:
        return os.path.commonpath(folders) if folders else ""
    except ValueError:  # on different drives
        return ""


def _with_classes(data: DetectionData, names: tuple[str, ...], category_ids: tuple[int, ...]) -> DetectionData:
    if data.class_names != names:
        data = ClassMapping.by_name(data.class_names, names).apply(data)
    return replace(data, category_ids=category_ids)


def without_unions(parts: Mapping[str, DetectionData]) -> dict[str, DetectionData]:
    """Return the parts except those that consist of images of other, smaller parts."""
    paths = {name: set(data.records.paths) for name, data in parts.items()}
    kept = dict(parts)
    for name in sorted(parts, key=lambda name: -len(paths[name])):
        others = [paths[other] for other in kept if other != name and len(paths[other]) < len(paths[name])]
        if others and paths[name] <= set().union(*others):
            _log.info("%s: part %r is left out: all its images are in other parts", parts[name].name, name)
            del kept[name]
    return kept


def box_counts(part: Part) -> Integers:
    """Return the number of boxes of each class, shape ``(K,)``."""
    return part.data.records.class_counts(len(part.data.class_names))
