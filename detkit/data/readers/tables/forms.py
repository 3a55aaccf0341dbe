"""Forms of CSV tables with a row for each box, recognized by their first row."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from detkit.data.media.files import check_regular
from detkit.data.media.images import IMAGE_EXTENSIONS

HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax"
"""The usual first row, for messages."""

SUFFIXES = (".csv", ".tsv")
_DELIMITERS = ",;\t"
_HEAD = 65_536
"""Bytes at the start of a file that may be its first row."""

_IMAGES = ("filename", "file_name", "image", "image_path", "image_name", "path", "file")
_CLASSES = ("class", "label", "class_name", "label_name", "category")
_CORNERS = (("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"))
_FLAGS = ("isgroupof", "isdepiction", "isinside")


@dataclass(frozen=True)
class Form:
    """Columns of a table.

    Attributes:
        delimiter: What separates the fields.
        image: Number of the column of the image.
        label: That of the class.
        box: Those of ``x1 y1 x2 y2``.
        size: Those of height and width; None if the table has none.
        flags: Those of Open Images' flags that have a meaning here, by name.
        has_header: Whether the first row names the columns.
        relative: Whether the boxes are fractions of the image.
    """

    delimiter: str
    image: int
    label: int
    box: tuple[int, int, int, int]
    size: tuple[int, int] | None = None
    flags: dict[str, int] = field(default_factory=dict)
    has_header: bool = True
    relative: bool = False

    @property
    def width(self) -> int:
        """Number of fields that a row needs."""
        return max(self.image, self.label, *self.box, *(self.size or ()), *self.flags.values()) + 1


def form_of(file: Path) -> Form | None:
    """Return the form of a file; None if it is no such table."""
    if file.suffix.lower() not in SUFFIXES or not file.is_file():
        return None
    line = first_line(file)
    for delimiter in sorted(_DELIMITERS, key=line.count, reverse=True):
        fields = _fields(line, delimiter)
        form = _with_header([name.strip().lower() for name in fields], delimiter) or _without_header(fields, delimiter)
        if form is not None:
            return form
    return None


def first_line(file: Path) -> str:
    """Return the first line of a file that is not blank; empty if there is none."""
    with file.open("rb") as opened:
        head = opened.read(_HEAD).removeprefix(codecs.BOM_UTF8)
    return next((line for line in head.decode("utf-8", "replace").splitlines() if line.strip()), "")


def _fields(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []


def _with_header(names: list[str], delimiter: str) -> Form | None:
    """Return the form of Open Images, or the one that TensorFlow's examples use."""
    column = {name: index for index, name in reversed(list(enumerate(names)))}
    corners = next((keys for keys in _CORNERS if column.keys() >= set(keys)), None)
    if corners is None:
        return None
    x1, y1, x2, y2 = (column[key] for key in corners)
    if {"imageid", "labelname"} <= column.keys():
        flags = {name: column[name] for name in _FLAGS if name in column}
        return Form(delimiter, column["imageid"], column["labelname"], (x1, y1, x2, y2), flags=flags, relative=True)
    image, label = (next((column[name] for name in known if name in column), None) for known in (_IMAGES, _CLASSES))
    if image is None or label is None:
        return None
    size = (column["height"], column["width"]) if {"height", "width"} <= column.keys() else None
    return Form(delimiter, image, label, (x1, y1, x2, y2), size)


def _without_header(fields: list[str], delimiter: str) -> Form | None:
    """Return the form of keras-retinanet, ``path,x1,y1,x2,y2,class``, of which an image without objects has only the path."""
    if len(fields) != 6 or not fields[0].strip().lower().endswith(IMAGE_EXTENSIONS):
        return None
    if any(value.strip() for value in fields[1:]) and not all(map(_is_number, fields[1:5])):
        return None
    return Form(delimiter, 0, 5, (1, 2, 3, 4), has_header=False)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Block:
    """Some rows of a table.

    Attributes:
        numbers: The number of each row in the file, counted from 1 with the header and blank rows.
        rows: Their fields.
    """

    numbers: Sequence[int]
    rows: Sequence[Sequence[str]]


def blocks(file: Path, form: Form, size: int) -> Iterator[Block]:
    """Yield the rows of a table that are not blank, at most ``size`` at once.

    Raises:
        ValueError: If the file is not UTF-8, a quote is not closed, or a row has too few fields; the message names file and row.
    """
    check_regular(file)
    numbers: list[int] = []
    rows: list[list[str]] = []
    number, width = 0, form.width
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            is_header = form.has_header
            for number, row in enumerate(csv.reader(opened, delimiter=form.delimiter, strict=True), 1):
                if not row or (len(row) == 1 and not row[0].strip()) or is_header:
                    is_header = is_header and not row
                    continue
                if len(row) < width:
                    raise ValueError(f"{file}, row {number}: expected {width} fields, got {len(row)}: {str(row)[:200]}")
                numbers.append(number)
                rows.append(row)
                if len(rows) == size:
                    yield Block(numbers, rows)
                    numbers, rows = [], []
    except csv.Error as error:
        raise ValueError(f"{file}, row {number + 1}: not readable as CSV ({error}); correct the quotes of the file") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: not a text file in UTF-8 (after row {number}: {error.reason}); save it as UTF-8") from None
    if rows:
        yield Block(numbers, rows)
