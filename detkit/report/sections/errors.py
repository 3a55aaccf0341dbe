"""Kinds of errors and what they cost (TIDE), and AP by size and by number of objects."""

from __future__ import annotations

from collections.abc import Sequence

from detkit.evaluation.analysis.groups import Group
from detkit.evaluation.details import ERRORS
from detkit.report.bars import Bar, bars
from detkit.report.markup import Html, join
from detkit.report.page import Section
from detkit.report.parts import figure, grid, number
from detkit.report.subject import Subject

_TIDE_CAPTION = "AP50 that would be gained if all errors of this kind were corrected, and their number among all detections (TIDE)."
_GROUPS = (
    ("sizes", "AP by size", "COCO's sizes: under 32 x 32 pixels, up to 96 x 96, and larger."),
    ("areas", "AP by area", "Finer groups of the same; the side of a square of the same area, in pixels."),
    ("crowdedness", "AP by number of objects", "Images with this many objects."),
)


def section(subject: Subject) -> Section:
    """Return the section of the errors."""
    return Section("errors", "Errors", grid(figure(_tide(subject), _TIDE_CAPTION, title="Kinds of errors"), *_groups(subject)))


def _tide(subject: Subject) -> Html:
    rows = []
    for kind, meaning in ERRORS.items():
        count, cost = subject.analysis.tide[kind]
        path = f"analysis/tide/{kind}"
        note = join([number(count, key=f"{path}/count"), " times"])
        rows.append(Bar(meaning, cost, number(cost, key=f"{path}/ap50"), note=note, color=3))
    return bars(rows)


def _groups(subject: Subject) -> list[Html]:
    figures = []
    for name, title, caption in _GROUPS:
        groups: Sequence[Group] = getattr(subject.analysis.groups, name)
        rows = [_bar(group, f"analysis/groups/{name}/{index}") for index, group in enumerate(groups)]
        figures.append(figure(bars(rows, high=1.0), caption, title=title))
    return figures


def _bar(group: Group, path: str) -> Bar:
    note = join([number(group.objects, key=f"{path}/objects"), " objects, AR ", number(group.ar, key=f"{path}/ar")])
    return Bar(group.name, group.ap, number(group.ap, key=f"{path}/ap"), note=note)
