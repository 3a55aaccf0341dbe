"""Counts, per kind and file, of the labels and images that a reader skipped, changed or noticed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from detkit.printable import LONGEST, printable

_LONGEST_LINE = 4 * LONGEST


class ReadIssue(Enum):
    """A kind of problem found while reading labels; the value is its text in the report."""

    MISSING_IMAGE = "images skipped, with their boxes, because the file is missing"
    UNREADABLE_IMAGE = "images skipped, with their boxes, because the file cannot be read"
    NOT_AN_IMAGE = "files skipped because they do not have the extension of an image"
    SIZE_MISMATCH = "images skipped, with their boxes, because the labels state another size than the file has"
    UNLISTED_IMAGE = "boxes skipped because they belong to an image that is not listed"
    UNKNOWN_CLASS = "boxes skipped because the data does not define their class"
    CLASS_NOT_SELECTED = "boxes skipped because their class is not selected"
    NOT_FINITE = "boxes skipped because a coordinate is not a finite number"
    DEGENERATE = "boxes skipped because they have no width or height"
    OUTSIDE = "boxes skipped because they are outside their image"
    CLIPPED = "boxes clipped to their image"
    POLYGON = "polygons replaced by their bounding boxes"
    MASK = "masks replaced by the boxes around them"
    ELLIPSE = "ellipses replaced by the upright boxes around them"
    TURNED = "turned rectangles replaced by the upright boxes around them"
    CONFIDENCE = "boxes with a sixth number from 0 to 1, taken for the confidence of a detector and not read"
    NO_BOX = "annotations skipped because they have neither a box nor a polygon"
    FOUND_BY_NAME = "images found below the data folder by their name alone, because their paths in the labels lead nowhere"
    SHARED_LABEL_FILE = "images that share a label file with another image of the same name, which were given the same boxes"
    OTHER_IMAGE = "images skipped because the label file of their name is about another image of the same name"
    UNREAD_KEY = "keys that are not read"
    UNNAMED_SPLIT = "folders named like a split, with images, that the description does not mention; they are not read"
    UNUSED_CLASS_LIST = "lists of class names that are not used, because no object has one of their classes"
    UNREAD_SHAPE = "shapes skipped because they are no boxes or polygons"
    OTHER_ANNOTATION = "annotations skipped because another one of the same image was read, or because they were canceled"
    PREDICTION = "predictions of a model skipped because they are no labels"
    TURNED_VIEW = "images that were turned while they were labeled; boxes read as of the image that is not turned"
    DEPICTION = "boxes marked with IsDepiction or IsInside, read as ordinary objects"
    IGNORE_FLAG = "boxes marked with ignore, read as ordinary objects, as COCO's own tools do"
    IGNORED_CLASS = "boxes of a class that marks regions to ignore: nothing is learned there and nothing counts"
    IGNORED_DIFFICULT = "difficult objects ignored in training and in COCO's metrics; difficult=object of the source makes them objects"
    ROTATED = "images labeled without their EXIF orientation; boxes rotated to the upright image"
    MISSING_SIZE = "images whose size the labels do not state; size read from the file"
    NO_LABEL_FILE = "images without a label file, read as images without objects"
    NO_LABEL_MAP = "images left out because there is no label map of them"
    DUPLICATE_ANNOTATION_ID = "annotation ids that occur more than once, all annotations kept"
    DUPLICATE_IMAGE = "images listed more than once, read once"
    DUPLICATE_FILE = "images listed again under another id, all kept"


@dataclass
class ReadReport:
    """Counts by kind and file, filled by the reader.

    Attributes:
        source: Name of the data in the report's lines.
        checked: Number of image headers that were read to compare their sizes with the labels; None if all were.
        counts: For each kind, the count of each file.
        details: For each kind, the first example that came with a detail.
    """

    source: str = ""
    checked: int | None = None
    counts: dict[ReadIssue, Counter[str]] = field(default_factory=dict)
    details: dict[ReadIssue, str] = field(default_factory=dict)

    def copy(self) -> ReadReport:
        """Return a copy that can be added to without changing this report."""
        counts = {issue: Counter(files) for issue, files in self.counts.items()}
        return ReadReport(self.source, self.checked, counts, dict(self.details))

    def add(self, issue: ReadIssue, file: str, count: int = 1, detail: str = "") -> None:
        """Add ``count`` to an issue of ``file``; the first ``detail`` of each kind is reported as an example."""
        if count:
            self.counts.setdefault(issue, Counter())[file] += count
            if detail:
                self.details.setdefault(issue, f"{file}: {detail}")

    def add_all(self, issue: ReadIssue, files: Iterable[str]) -> None:
        """Add one to an issue for each of ``files``, which may contain duplicates."""
        for file in files:
            self.add(issue, file)

    def count(self, issue: ReadIssue) -> int:
        """Return the count of an issue over all files."""
        return sum(self.counts.get(issue, Counter()).values())

    def totals(self) -> dict[str, int]:
        """Return the count of each issue that occurred, by its name in lower case."""
        return {issue.name.lower(): self.count(issue) for issue in ReadIssue if self.count(issue)}

    def by_file(self) -> dict[str, dict[str, int]]:
        """Return, for each file with an issue, the count of each kind; sorted by file name."""
        files: dict[str, dict[str, int]] = {}
        for issue in ReadIssue:
            for file, count in self.counts.get(issue, Counter()).items():
                files.setdefault(file, {})[issue.name.lower()] = count
        return dict(sorted(files.items()))

    def summary(self, files: int = 3) -> list[str]:
        """Return one line per issue, with its count and its first ``files`` files; empty if there are none.

        Control characters of the names are escapes, so that no name breaks a line or controls a terminal.
        """
        lines = [printable(self._format_line(issue, files), _LONGEST_LINE) for issue in ReadIssue if self.count(issue)]
        if self.checked is not None:
            lines.append(f"{self.source}: compared the sizes of {self.checked} evenly spaced images with their labels, not of all images")
        return lines

    def _format_line(self, issue: ReadIssue, files: int) -> str:
        counts = self.counts[issue]
        shown = [file if count == 1 else f"{file} ({count})" for file, count in sorted(counts.items())[:files]]
        more = f" and {len(counts) - files:,} more" if len(counts) > files else ""
        detail = f"; such as {self.details[issue]}" if issue in self.details else ""
        return f"{self.source}: {issue.value}: {self.count(issue):,} ({', '.join(shown)}{more}{detail})"
