"""CSV tables with a row for each box: TensorFlow's form, that of Open Images, and that of keras-retinanet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from detkit.data.media.files import visible
from detkit.data.media.images import IMAGE_EXTENSIONS
from detkit.data.readers.assemble import RawLabels, assemble
from detkit.data.readers.class_lists import class_names, next_to, plain_list
from detkit.data.readers.label_files import Files, image_folder, label_files, split_names
from detkit.data.readers.locations import ImageFinder
from detkit.data.readers.protocol import ReadOptions, resolve_split
from detkit.data.readers.tables.forms import HEADER, SUFFIXES, form_of
from detkit.data.readers.tables.table import Table, joined
from detkit.data.readers.text import read_text
from detkit.data.records import DetectionData
from detkit.data.report import ReadIssue, ReadReport

_CLASS_LISTS = ("classes.txt", "_classes.csv", "classes.csv")
"""Lists of classes; keras-retinanet's have rows ``name,number``."""

_DESCRIPTIONS = "class-descriptions"
"""Part of the name of Open Images' file with the names of its class ids."""


class CsvReader:
    """Corners in pixels counted from 0, read as they stand, or as fractions of the image where the header is that of Open Images.

    The forms are recognized by their first row: ``filename,width,height,class,xmin,ymin,xmax,ymax`` in any order, as TensorFlow's examples
    and Roboflow write it; ``ImageID,LabelName,XMin,XMax,YMin,YMax`` with more columns; and ``path,x1,y1,x2,y2,class`` without a header.
    All of them take ``xmax - xmin`` for the width of a box. In a table with Pascal VOC's numbers as they stand, boxes begin a pixel too far
    to the right and below, which the table does not show.
    """

    name = "CSV"
    kind = "csv"
    expects = f"a .csv file with the header {HEADER} or that of Open Images, or a folder with one"

    def recognizes(self, path: Path) -> bool:
        """Return whether it is such a file, or a folder with such files."""
        return bool(_files(path))

    def splits(self, path: Path) -> tuple[str, ...]:
        """Return the split names of the files."""
        return split_names(_files(path))

    def read(self, path: Path, options: ReadOptions) -> DetectionData:
        """Read one split, with the classes of all splits; see :class:`detkit.data.readers.protocol.Reader`.

        A ``classes.txt`` next to the labels, or keras-retinanet's ``classes.csv``, gives the order of the classes; else they are sorted.
        """
        split = resolve_split(path, options.split, self.splits(path))
        files = _files(path)
        tables = {name: _table(group) for name, group in files.items()}
        report = ReadReport(f"{path}{f' ({split})' if split else ''}")
        every = [file for group in files.values() for file in group]
        descriptions = _description_files(path, every)
        shown = {row[0]: row[1] for file in descriptions for row in _rows(file)}
        used = {shown.get(name, name) for table in tables.values() for name in table.classes}
        lists = [file for name in _CLASS_LISTS for file in next_to(path, every, name)]
        names = class_names(used, [*lists, *descriptions], report, _listed)
        raw = _labels(tables[split or ""], files[split or ""][0], names, shown, options, report)
        records = assemble(raw, options.check)
        return DetectionData(report.source, names, tuple(range(1, len(names) + 1)), records, report, image_root=raw.folder)


def _files(path: Path) -> Files:
    return label_files(path, SUFFIXES, lambda file: form_of(file) is not None, marker="_annotations.csv")


def _table(files: Iterable[Path]) -> Table:
    """Return the rows of the files of a split."""
    table, first = Table(), None
    for file in files:
        form = form_of(file)
        if form is None or (first is not None and form.relative != first.relative):
            raise ValueError(f"{file}: expected a table like the others in its folder; move it into a folder of its own")
        first = form
        table.add(file, form)
    table.relative = first is not None and first.relative
    return table


def _labels(
    table: Table, file: Path, names: tuple[str, ...], shown: Mapping[str, str], options: ReadOptions, report: ReadReport
) -> RawLabels:
    listed = list(table.images)
    folder = options.images or _image_folder(file, listed, options)
    finder = ImageFinder(folder, report.source, outside=options.outside)
    label = {name: index for index, name in enumerate(names)}
    labels = np.array([label[shown.get(name, name)] for name in table.classes], np.int64)
    classes, images = joined(table.class_index, np.int64), joined(table.image_index, np.int64)
    for flag in ("isdepiction", "isinside"):
        for index in images[table.flag(flag)].tolist():
            report.add(ReadIssue.DEPICTION, listed[index])
    return RawLabels(
        source=report.source,
        paths=finder.find([_with_extension(name, finder) for name in listed], report),
        names=listed,
        image_ids=list(listed),
        sizes=[table.sizes.get(index) for index in range(len(listed))],
        image_index=images,
        boxes=joined(table.boxes, np.float64).reshape(-1, 4),
        labels=labels[classes],
        columns={"is_crowd": table.flag("isgroupof")},
        relative=table.relative,
        folder=str(folder),
        states_sizes=bool(table.sizes),
        report=report,
    )


def _image_folder(file: Path, names: list[str], options: ReadOptions) -> Path:
    """Return the folder of the images, whose names in Open Images' tables have no extension."""
    extensions = [""] if any(name.lower().endswith(IMAGE_EXTENSIONS) for name in names) else _EXTENSIONS
    for extension in extensions[:-1]:
        try:
            return image_folder(file, [name + extension for name in names], outside=options.outside)
        except ValueError:
            continue
    return image_folder(file, [name + extensions[-1] for name in names], outside=options.outside)


def _with_extension(name: str, finder: ImageFinder) -> str:
    """Return the name of a file for one in a table, which may be without extension."""
    if name.lower().endswith(IMAGE_EXTENSIONS):
        return name
    return next((name + extension for extension in reversed(_EXTENSIONS) if finder.has_path(name + extension)), name + _EXTENSIONS[-1])


_EXTENSIONS = (".png", ".jpeg", ".jpg")
"""Extensions of images whose names are given without one; the usual one is the last."""


def _description_files(path: Path, files: Iterable[Path]) -> list[Path]:
    """Return Open Images' files with the names of its class ids, such as ``class-descriptions-boxable.csv``."""
    folders = dict.fromkeys(file.parent for file in next_to(path, files))
    return [file for folder in folders for file in visible(folder.glob(f"*{_DESCRIPTIONS}*.csv"))]


def _listed(file: Path) -> list[str]:
    """Return the names in a list of classes; of all 20,000 class ids of Open Images none, as those with boxes have a file of their own."""
    if file.suffix.lower() == ".txt":
        return plain_list(file)
    if _DESCRIPTIONS in file.name:
        return [row[1] for row in _rows(file)] if "boxable" in file.name else []
    return [row[0] for row in sorted(_rows(file), key=lambda row: int(row[1]) if row[1].isdecimal() else -1)]


def _rows(file: Path) -> list[list[str]]:
    """Return the rows of a table with two columns, without its header.

    Raises:
        ValueError: If it is not readable, or a row does not have two fields.
    """
    try:
        rows = [[field.strip() for field in row] for row in csv.reader(read_text(file).splitlines(), strict=True) if row]
    except csv.Error as error:
        raise ValueError(f"{file}: not readable as CSV ({error}); correct the file") from None
    for number, row in enumerate(rows, 1):
        if len(row) != 2 or not all(row):
            raise ValueError(f"{file}, row {number}: expected two fields, got {str(row)[:200]}; correct or remove the file")
    return [row for row in rows if [field.lower() for field in row] != ["labelname", "displayname"]]
