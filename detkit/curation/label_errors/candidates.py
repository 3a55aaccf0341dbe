"""Labels that are probably wrong, ranked, with a correction for each where the detector has one."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from detkit.checkpoint.atomic import write_json, write_text

SCHEMA_VERSION = 1
Box = tuple[float, float, float, float]


class ErrorKind(Enum):
    """A kind of label error; the value is its name in files."""

    MISSING = "missing box"
    BOX = "doubtful box"
    CLASS = "doubtful class"


@dataclass(frozen=True)
class Candidate:
    """A label that is probably wrong, or an object that probably lacks one.

    Attributes:
        kind: Its kind.
        part: Name of the part.
        image: Index of the image in the records of the part.
        file: Its path in the image folder.
        row: Number of the label among those of the image, from 1; None for a missing box.
        class_name: Class of the label; empty for a missing box.
        box: Box of the label; None for a missing box.
        suggested_class: Class to give instead; empty without a suggestion.
        suggested_box: Box to give instead; None without a suggestion.
        score: Probability of an error, if 3 of 100 labels are wrong in this way (``ERROR_RATE``).
        detection_score: Score of the detection that the suggestion came from; None without one.
        is_difficult: Whether the label is marked as difficult, which halves the score.
    """

    kind: ErrorKind
    part: str
    image: int
    file: str
    row: int | None
    class_name: str
    box: Box | None
    suggested_class: str
    suggested_box: Box | None
    score: float
    detection_score: float | None
    is_difficult: bool = False

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The boxes of the label and of the suggestion."""
        return tuple(box for box in (self.box, self.suggested_box) if box is not None)

    def as_json(self) -> dict[str, Any]:
        """Return its values as JSON."""
        return {**asdict(self), "kind": self.kind.value}


@dataclass(frozen=True)
class LabelErrors:
    """The candidates of a data set.

    Attributes:
        source: Name of the data.
        model: Name of the detector.
        candidates: The candidates, most probable first.
        images: Number of images.
        labels: Number of labels that were judged.
        unknown_classes: Classes of the data that the detector does not know, with their number of labels, which were not judged.
        unused_classes: Classes of the detector that the data does not have; their detections were not considered.
        warnings: Lines about anything that makes the result less useful.
    """

    source: str
    model: str
    candidates: tuple[Candidate, ...]
    images: int
    labels: int
    unknown_classes: Mapping[str, int] = field(default_factory=dict)
    unused_classes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[ErrorKind, int]:
        """Number of candidates of each kind."""
        counts = Counter(candidate.kind for candidate in self.candidates)
        return {kind: counts[kind] for kind in ErrorKind}

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON."""
        return {
            "schema": SCHEMA_VERSION,
            "source": self.source,
            "model": self.model,
            "images": self.images,
            "labels": self.labels,
            "counts": {kind.value: count for kind, count in self.counts.items()},
            "unknown_classes": dict(self.unknown_classes),
            "unused_classes": list(self.unused_classes),
            "warnings": list(self.warnings),
            "candidates": [candidate.as_json() for candidate in self.candidates],
        }

    def write(self, path: str | Path) -> None:
        """Write all candidates: as CSV if the name ends in ``.csv``, otherwise as JSON.

        Raises:
            WriteError: If the file cannot be written.
        """
        if Path(path).suffix.lower() == ".csv":
            write_text(path, candidates_csv(self.candidates))
        else:
            write_json(path, self.as_json())


_COLUMNS = ("rank", "score", "kind", "part", "file", "row", "class", "suggested_class", "detection_score", "difficult")


def candidates_csv(candidates: Sequence[Candidate]) -> str:
    """Return the candidates as CSV with a header, boxes as ``x1 y1 x2 y2`` in pixels; cells without a value are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_COLUMNS, *(f"{name}{corner}" for name in ("", "suggested_") for corner in ("x1", "y1", "x2", "y2"))])
    for rank, one in enumerate(candidates, 1):
        writer.writerow(
            [
                *(rank, f"{one.score:.4f}", one.kind.value, one.part, one.file, one.row, one.class_name, one.suggested_class),
                "" if one.detection_score is None else f"{one.detection_score:.4f}",
                int(one.is_difficult),
                *(f"{value:.2f}" if box else "" for box in (one.box, one.suggested_box) for value in box or ("",) * 4),
            ]
        )
    return text.getvalue()
