"""Findings of the checks of labeled data: a rule, the part, the images and boxes concerned, and examples for people."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from detkit.arrays import Integers
from detkit.data.records import DetectionData
from detkit.printable import printable

MOST_EXAMPLES = 100
"""Examples that a finding keeps, with their file names; it keeps the indices of all images and boxes."""


class Severity(Enum):
    """How much a finding matters: an error makes a training or its metrics wrong, a warning may, a note is worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Rule:
    """A kind of problem.

    Attributes:
        name: Its name in JSON, such as ``duplicate_box``; unique.
        severity: How much it matters.
        text: Its description in the plural, which a count follows: ``boxes that repeat a box of the same class``.
        advice: Steps to take, in one sentence.
    """

    name: str
    severity: Severity
    text: str
    advice: str


@dataclass(frozen=True)
class Example:
    """One case of a finding.

    Attributes:
        file: The image, relative to its folder, or a label file; empty if the case is about no file.
        row: Number of the object among those of the image, from 1, in the order of the records; None if it is not about one object.
        detail: Its particulars, such as the numbers of the box.
        other: For pairs, the other image as ``PART: FILE``.
    """

    file: str = ""
    row: int | None = None
    detail: str = ""
    other: str = ""

    def __str__(self) -> str:
        place = self.file + (f" object {self.row}" if self.row is not None else "")
        pair = " = ".join(text for text in (place, self.other) if text)
        return printable(": ".join(text for text in (pair, self.detail) if text))

    def as_json(self) -> dict[str, Any]:
        """Return its values as JSON, without those that are empty."""
        values = {"file": self.file, "row": self.row, "detail": self.detail, "other": self.other}
        return {name: value for name, value in values.items() if value not in (None, "")}


@dataclass(frozen=True, eq=False)
class Others:
    """The second images of pairs: ``images[i]`` of a finding is paired with ``images[i]`` of these.

    Attributes:
        part: Name of their part.
        data: The part.
        images: Indices into the records of the part.
    """

    part: str
    data: DetectionData
    images: Integers


def _none() -> Integers:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Finding:
    """All cases of one rule in one part; build it with :meth:`of_images`, :meth:`of_boxes` or :meth:`of_texts`.

    Attributes:
        rule: The rule.
        part: Name of the part; empty if it concerns the whole data set.
        count: Number of cases.
        cases: The first :data:`MOST_EXAMPLES` cases.
        images: Index in the part's records of the image of each case; empty for cases that are not in the records.
        boxes: Row in the part's records of the box of each case; None if the cases are not boxes.
        other: The second images of pairs.
    """

    rule: Rule
    part: str
    count: int
    cases: tuple[Example, ...] = ()
    images: Integers = field(default_factory=_none)
    boxes: Integers | None = None
    other: Others | None = None

    @classmethod
    def of_images(
        cls, rule: Rule, part: str, data: DetectionData, images: Integers, *, details: Details = (), other: Others | None = None
    ) -> Finding:
        """Return the finding of some images of a part.

        Args:
            rule: The rule.
            part: Name of the part.
            data: The part.
            images: Indices into its records, one for each case.
            details: Particulars of the cases, or a function that returns those of case ``i``; it is called for examples only.
            other: The second image of each case, for pairs.
        """
        cases = []
        for case, image in enumerate(images[:MOST_EXAMPLES].tolist()):
            pair = "" if other is None else f"{other.part}: {file_name(other.data, int(other.images[case]))}"
            cases.append(Example(file_name(data, image), None, _detail(details, case), pair))
        return cls(rule, part, len(images), tuple(cases), images, None, other)

    @classmethod
    def of_boxes(cls, rule: Rule, part: str, data: DetectionData, boxes: Integers, *, details: Details = ()) -> Finding:
        """Return the finding of some boxes of a part, given as rows of its records; see :meth:`of_images`."""
        images = np.searchsorted(data.records.offsets, boxes, side="right") - 1
        rows = boxes - data.records.offsets[images] + 1
        cases = [
            Example(file_name(data, int(images[case])), int(rows[case]), _detail(details, case))
            for case in range(min(len(boxes), MOST_EXAMPLES))
        ]
        return cls(rule, part, len(boxes), tuple(cases), images, boxes)

    @classmethod
    def of_texts(cls, rule: Rule, part: str, details: Sequence[str], count: int | None = None) -> Finding:
        """Return the finding of cases that are neither images nor boxes, such as classes, with a text for each or for some of them."""
        cases = tuple(Example(detail=detail) for detail in details[:MOST_EXAMPLES])
        return cls(rule, part, len(details) if count is None else count, cases)

    def examples(self, count: int = 3) -> tuple[Example, ...]:
        """Return the first ``count`` cases."""
        return self.cases[:count]

    @property
    def title(self) -> str:
        """The part, the description and the count."""
        return f"{self.part}: {self.rule.text}: {self.count:,}" if self.part else f"{self.rule.text}: {self.count:,}"

    def lines(self, examples: int = 3) -> list[str]:
        """Return the lines for people: description and count, examples, advice."""
        shown = [f"    {example}" for example in self.examples(examples)]
        more = (len(self.cases) if len(self.cases) < MOST_EXAMPLES else self.count) - len(shown)
        rest = [f"    and {more:,} more"] if shown and more > 0 else []
        return [self.title, *shown, *rest, f"    -> {self.rule.advice}"]

    def line(self, examples: int = 2, texts: int = 10) -> str:
        """Return one line for people: description, count, examples and advice; cases without a file, such as classes, are listed."""
        if self.cases and not any(case.file for case in self.cases):
            listed = ", ".join(str(case) for case in self.examples(texts))
            rest = f" and {self.count - texts:,} more" if len(self.cases) > texts else ""
            return f"{self.part}: {self.rule.text}: {listed}{rest}; {self.rule.advice}".removeprefix(": ")
        shown = "; ".join(str(example) for example in self.examples(examples))
        return f"{self.title}{f' (such as {shown})' if shown else ''}; {self.rule.advice}"

    def as_json(self, examples: int = MOST_EXAMPLES) -> dict[str, Any]:
        """Return the finding as JSON."""
        return {
            "rule": self.rule.name,
            "severity": self.rule.severity.value,
            "part": self.part,
            "count": self.count,
            "text": self.rule.text,
            "advice": self.rule.advice,
            "examples": [example.as_json() for example in self.examples(examples)],
        }


Details = Sequence[str] | Callable[[int], str]
"""Particulars of the cases, or a function that returns those of a case."""


def file_name(data: DetectionData, image: int) -> str:
    """Return the path of an image relative to the image folder of its data, with forward slashes; the whole path if it is elsewhere."""
    path = data.records.paths[image]
    if not data.image_root:
        return path
    name = os.path.relpath(path, data.image_root)
    return path if name.startswith("..") else name.replace(os.sep, "/")


def _detail(details: Details, case: int) -> str:
    if callable(details):
        return details(case)
    return details[case] if case < len(details) else ""
