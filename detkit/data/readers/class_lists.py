"""Files that list class names next to labels which only name the classes of their objects; they keep the order of the classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from detkit.data.readers.text import read_lines
from detkit.data.report import ReadIssue, ReadReport

_NO_CLASSES = ("__ignore__", "_background_")
"""Lines of labelme's lists that are no classes."""


def class_names(used: Iterable[str], files: Iterable[Path], report: ReadReport, parse: Callable[[Path], list[str]]) -> tuple[str, ...]:
    """Return the classes that the first files list, in their order, then the other classes that are used, sorted.

    A list with none of the used classes is about something else; it is reported.

    Args:
        used: The classes of the objects.
        files: Where a list of classes may be; files that do not exist are left out.
        report: The report to add to.
        parse: Returns the names in such a file.

    Raises:
        ValueError: If a list is not UTF-8.
    """
    rest, listed = set(used), dict[str, None]()
    for file in dict.fromkeys(files):
        names = parse(file) if file.is_file() else []
        if rest.isdisjoint(names) and listed.keys().isdisjoint(names):
            report.add(ReadIssue.UNUSED_CLASS_LIST, file.name, int(bool(names)))
            continue
        listed |= dict.fromkeys(names)
        rest -= listed.keys()
    return (*listed, *sorted(rest))


def next_to(path: Path, files: Iterable[Path], name: str = "classes.txt") -> list[Path]:
    """Return where a list of classes may be: in the data folder, or next to one of the label files."""
    return [folder / name for folder in (path if path.is_dir() else path.parent, *(file.parent for file in files))]


def plain_list(file: Path) -> list[str]:
    """Return the names in a file with one per line, such as ``classes.txt`` or labelme's ``labels.txt``."""
    return [name for name in read_lines(file) if name not in _NO_CLASSES]


def label_map(file: Path) -> list[str]:
    """Return the names in CVAT's ``labelmap.txt``, of which each line is ``name:color:parts:actions``; without ``background``."""
    lines = [line for line in read_lines(file) if not line.startswith("# label:")]
    names = [line.rsplit(":", 3)[0].strip() for line in lines if line.count(":") >= 3 or not line.startswith("#")]
    return [name for name in names if name and name != "background"]
