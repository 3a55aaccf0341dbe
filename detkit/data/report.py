"""What a reader left out, changed or noticed: counted and told, per file, so that nothing vanishes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum


class Remark(Enum):
    """One kind of thing that a reader has to say, as a line names it."""

    MISSING_IMAGE = "images left out, with their boxes, because the file is missing"
    UNREADABLE_IMAGE = "images left out, with their boxes, because the file cannot be read"
    NOT_A_IMAGE = "files left out because their names do not end as a image's"
    WRONG_SIZE = "images left out, with their boxes, because the labels state another size than the file has"
    UNKNOWN_IMAGE = "boxes left out because they belong to a image that is not listed"
    UNKNOWN_CLASS = "boxes left out because the data does not define their class"
    CLASS_LEFT_OUT = "boxes left out because their class was not asked for"
    NOT_FINITE = "boxes left out because a coordinate is not a number"
    DEGENERATE = "boxes left out because they have no width or height"
    OUTSIDE = "boxes left out because they lie outside their image"
    CLIPPED = "boxes that stuck out, cut to their image"
    POLYGON = "polygons taken by the boxes around them"
    TURNED = "images labeled as they lie in the file; boxes turned upright with the EXIF orientation"
    SIZE_NOT_STATED = "images whose size the labels do not state, taken from the file"
    NO_LABEL_FILE = "images without a label file, taken as showing no objects"
    DUPLICATE_LABEL_ID = "annotation ids that occur more than once, all kept"
    LISTED_TWICE = "images listed more than once, read once"
    DUPLICATE_FILE = "images listed again under another id, all kept"


@dataclass
class ReadReport:
    """Counts by kind and file; a reader fills it, everybody else reads it.

    Attributes:
        source: What was read, as a person would name it.
        checked: How many image headers were read to compare their sizes with the labels'; None if all.
    """

    source: str = ""
    checked: int | None = None
    counts: dict[Remark, Counter[str]] = field(default_factory=dict)
    details: dict[Remark, str] = field(default_factory=dict)

    def copy(self) -> ReadReport:
        """A report that can be added to while this one stays."""
        counts = {remark: Counter(files) for remark, files in self.counts.items()}
        return ReadReport(self.source, self.checked, counts, dict(self.details))

    def add(self, remark: Remark, file: str, count: int = 1, detail: str = "") -> None:
        """Count ``count`` things about ``file``; the first ``detail`` of a kind is told as an example."""
        if count:
            self.counts.setdefault(remark, Counter())[file] += count
            if detail:
                self.details.setdefault(remark, f"{file}: {detail}")

    def add_all(self, remark: Remark, files: Iterable[str]) -> None:
        """Count one thing for each of ``files``, which may repeat."""
        for file in files:
            self.add(remark, file)

    def count(self, remark: Remark) -> int:
        """How many of one kind, over all files."""
        return sum(self.counts.get(remark, Counter()).values())

    def totals(self) -> dict[str, int]:
        """How many of each kind that occurred, by the kind's name in lower case."""
        return {remark.name.lower(): self.count(remark) for remark in Remark if self.count(remark)}

    def by_file(self) -> dict[str, dict[str, int]]:
        """For each file that something is said about, how many of each kind; in the order of file names."""
        files: dict[str, dict[str, int]] = {}
        for remark in Remark:
            for file, count in self.counts.get(remark, Counter()).items():
                files.setdefault(file, {})[remark.name.lower()] = count
        return dict(sorted(files.items()))

    def summary(self, files: int = 3) -> list[str]:
        """One line for each kind that occurred, with its count and the first ``files`` files; empty if all was well."""
        lines = [self._line(remark, files) for remark in Remark if self.count(remark)]
        if self.checked is not None:
            lines.append(f"{self.source}: compared the sizes of {self.checked} images, evenly chosen, with their labels, not of all")
        return lines

    def _line(self, remark: Remark, files: int) -> str:
        where = self.counts[remark]
        shown = [file if count == 1 else f"{file} ({count})" for file, count in sorted(where.items())[:files]]
        more = f" and {len(where) - files:,} more" if len(where) > files else ""
        detail = f"; such as {self.details[remark]}" if remark in self.details else ""
        return f"{self.source}: {remark.value}: {self.count(remark):,} ({', '.join(shown)}{more}{detail})"
