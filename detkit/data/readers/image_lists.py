"""The base of readers of JSON files that list images with objects, each with the name of its class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from detkit.data.readers.assemble import assemble
from detkit.data.readers.class_lists import class_names, next_to, plain_list
from detkit.data.readers.json_files import list_format
from detkit.data.readers.label_files import Files, label_files, split_names
from detkit.data.readers.objects import RawEntry, RawObject, raw_labels
from detkit.data.readers.protocol import ReadOptions, resolve_split
from detkit.data.records import DetectionData
from detkit.data.report import ReadReport


class Listed(Protocol):
    """An image in such a file."""

    @property
    def objects(self) -> Sequence[RawObject]:
        """Its objects."""


Item = TypeVar("Item", bound=Listed)


class ImageListReader(ABC, Generic[Item]):
    """A reader of such a format: it has the form of :class:`detkit.data.readers.protocol.Reader`, without ``name`` and ``expects``."""

    kind: str
    marker: str = ""
    """Name of the label file in a folder of any name; empty if there is none."""

    def recognizes(self, path: Path) -> bool:
        """Return whether it is such a file, or a folder with such files where JSON labels usually are."""
        return bool(self._files(path))

    def splits(self, path: Path) -> tuple[str, ...]:
        """Return the split names of the files."""
        return split_names(self._files(path))

    def read(self, path: Path, options: ReadOptions) -> DetectionData:
        """Read one split, with the classes of all splits; see :class:`detkit.data.readers.protocol.Reader`.

        A ``classes.txt`` next to the labels gives the order of the classes; else they are sorted.
        """
        files = self._files(path)
        split = resolve_split(path, options.split, split_names(files))
        parsed = {file: self._parse(file) for group in files.values() for file in group}
        report = ReadReport(f"{path}{f' ({split})' if split else ''}")
        used = {item.name for images in parsed.values() for image in images for item in image.objects}
        names = class_names(used, next_to(path, parsed), report, plain_list)
        own = files[split or ""]
        images = [image for file in own for image in parsed[file]]
        entries, folder = self._entries(images, own[0], options, report)
        records = assemble(raw_labels(entries, names, report, folder=str(folder), states_sizes=False), options.check)
        root = self._image_root(folder, images, split)
        return DetectionData(report.source, names, tuple(range(1, len(names) + 1)), records, report, image_root=str(root))

    def _files(self, path: Path) -> Files:
        return label_files(path, (".json",), lambda file: list_format(file) == self.kind, marker=self.marker)

    @abstractmethod
    def _parse(self, file: Path) -> list[Item]:
        """Return the images of a file."""

    @abstractmethod
    def _entries(self, images: list[Item], file: Path, options: ReadOptions, report: ReadReport) -> tuple[list[RawEntry], Path]:
        """Return the images of a split for the table of labels, and the folder that they are in; the file is the first of the split."""

    def _image_root(self, folder: Path, images: list[Item], split: str | None) -> Path:
        """Return the folder to which the names of images in a new data set are relative: the one in which they were found."""
        return folder
