"""Detectors of several generations on one image: their candidates, and what answers for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from detkit.diagnostics.explanation import Explanation
from detkit.drawing.strip import Answer, Mark, StripColumn
from detkit.models.history import invention
from detkit.structures import Detections, StageExplanation, Targets

MAX_CANDIDATES = 2000
"""Candidates before NMS that are kept of a detector, best first."""

_POINT_SIZE = 0.014
"""Side of the square that is drawn around a point, as a fraction of the image's longer side."""


@dataclass(frozen=True, eq=False)
class FamilyMember:
    """A detector on the image; boxes are in pixels of its input, where NMS compares them.

    Attributes:
        name: What the user called it.
        kind: Kind of its model.
        class_names: Class names by label.
        explanation: Its stages.
        min_score: Lowest score of the detections to show.
    """

    name: str
    kind: str
    class_names: tuple[str | None, ...]
    explanation: Explanation
    min_score: float

    @property
    def title(self) -> str:
        """Title and year: ``Faster R-CNN (2015)``."""
        title, month = invention(self.kind)
        return f"{title} ({int(month)})" if month < float("inf") else title

    @property
    def last(self) -> StageExplanation:
        """The stage that gives the detections."""
        return self.explanation.stages[-1]

    @property
    def candidates(self) -> Detections:
        """The best candidates before NMS, at most :data:`MAX_CANDIDATES`."""
        return self.last.before_nms[:MAX_CANDIDATES]

    @property
    def candidate_rows(self) -> Tensor:
        """The location of each candidate."""
        return self.last.before_rows[:MAX_CANDIDATES]

    @property
    def locations(self) -> Tensor:
        """``(N, 4)`` boxes or ``(N, 2)`` points of all levels; queries are their predicted boxes."""
        return torch.cat(self.last.locations)

    @property
    def origins(self) -> Tensor | None:
        """``(N, 4)`` anchors that the proposals come from, where an earlier stage made them of anchors."""
        if len(self.explanation.stages) < 2 or self.last.location_name != "proposal":
            return None
        first = self.explanation.stages[-2]
        return torch.cat(first.locations)[first.after_rows]

    @property
    def steps(self) -> Tensor | None:
        """``(N, S, 4)`` boxes of each query at each step; None where locations are no queries."""
        return torch.stack(list(self.last.refinement.values()), 1) if self.last.refinement else None

    def shown(self) -> tuple[Detections, Tensor]:
        """Return the detections that score enough, and the location of each."""
        keep = self.last.after_nms.scores >= self.min_score
        return self.last.after_nms[keep], self.last.after_rows[keep]

    def restored(self, boxes: Tensor) -> Tensor:
        """Return boxes or points in pixels of the original image."""
        pairs = boxes.float().reshape(-1, 2)
        placed = self.explanation.placement.restore(Targets.of(torch.cat((pairs, pairs), 1), torch.zeros(len(pairs), dtype=torch.int64)))
        return placed.boxes[:, :2].reshape(boxes.shape)


def sorted_by_invention(members: list[FamilyMember]) -> list[FamilyMember]:
    """Return the members, the oldest kind first; members of one kind stay in order."""
    return sorted(members, key=lambda member: invention(member.kind).month)


def strip_column(member: FamilyMember) -> StripColumn:
    """Return the column of a detector in a family strip."""
    detections, rows = member.shown()
    boxes = member.restored(detections.boxes).tolist()
    marks = _marks(member, rows, torch.tensor(boxes).reshape(-1, 4))
    names = [str(member.class_names[label]) if member.last.has_classes else "" for label in detections.labels.tolist()]
    answers = [
        Answer(tuple(box), f"{name} {score:.2f}", mark)
        for box, name, score, mark in zip(boxes, names, detections.scores.tolist(), marks, strict=True)
    ]
    count, answering = len(member.locations), len(set(rows.tolist()))
    kinds = member.last.location_names if count != 1 else member.last.location_name
    found = "detection" if len(answers) == 1 else "detections"
    return StripColumn(f"{member.title}: {len(answers)} {found}", f"{answering:,} of {count:,} {kinds}", answers)


def _marks(member: FamilyMember, rows: Tensor, boxes: Tensor) -> list[tuple[Mark, ...]]:
    """Return the marks of what answered for each detection, in pixels of the original image."""
    locations = member.restored(member.locations[rows])
    if (steps := member.steps) is not None:
        return [_query_marks(one) for one in member.restored(steps[rows])]
    if locations.shape[1] == 2:
        centers = (boxes[:, :2] + boxes[:, 2:]) / 2
        half = _POINT_SIZE * max(member.explanation.original_size) / 2
        return [
            (Mark("thin", tuple(box)), Mark("path", (*center, *point)), Mark("box", _square(point, half)))
            for box, center, point in zip(boxes.tolist(), centers.tolist(), locations.tolist(), strict=True)
        ]
    marks = [(Mark("box", tuple(box)),) for box in locations.tolist()]
    if (origins := member.origins) is None:
        return list(marks)
    anchors = member.restored(origins[rows]).tolist()
    return [(Mark("dashed", tuple(anchor)), *mark) for anchor, mark in zip(anchors, marks, strict=True)]


def _square(point: Sequence[float], half: float) -> tuple[float, ...]:
    return point[0] - half, point[1] - half, point[0] + half, point[1] + half


def _query_marks(steps: Tensor) -> tuple[Mark, ...]:
    """Return the boxes of a query at each step, the last one thick, and the path of its center."""
    centers = ((steps[:, :2] + steps[:, 2:]) / 2).flatten().tolist()
    thin = [Mark("thin", tuple(box)) for box in steps[:-1].tolist()]
    return (*thin, Mark("box", tuple(steps[-1].tolist())), Mark("path", tuple(centers)))
