"""The worst images, and crops of misses, false alarms, wrong classes, duplicates and poorly localized detections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from detkit.evaluation.analysis.cases import MISTAKES, Case
from detkit.report.gallery import Card, DrawnBox, gallery, image_with_boxes
from detkit.report.images import Thumbnail, Wanted, region_around
from detkit.report.markup import Html, join, tag
from detkit.report.page import Section
from detkit.report.parts import facts, number, paragraph
from detkit.report.sections.selection import area
from detkit.report.subject import Subject, short_name

CROP_SIDE = 256
"""Longer side of a crop in pixels of the file."""
CORRECT = "correct, least certain"


def wanted_crops(subject: Subject, chosen: Sequence[int]) -> list[Wanted]:
    """Return the parts of images that show these cases."""
    cases = (subject.analysis.cases[position] for position in chosen)
    return [Wanted(case.image_id, region_around(boxes_of(case)), CROP_SIDE) for case in cases]


def boxes_of(case: Case) -> list[tuple[float, float, float, float]]:
    """Return the boxes of a case."""
    return [box for box in (case.box, case.true_box) if box is not None]


def section(subject: Subject, chosen: Sequence[int], crops: Sequence[Thumbnail | None]) -> Section:
    """Return the section of the mistakes."""
    cards = [_card(subject, index, position, crop) for index, (position, crop) in enumerate(zip(chosen, crops, strict=True))]
    filters, orders = ("kind", "true class", "detected class"), ("score", "-score", "IoU", "object size")
    shown = gallery(cards, "mistake-gallery", filters=filters, orders=orders)
    body = join([facts(list(_totals(subject).items())), _explanation(subject, len(cards)), shown])
    return Section("mistakes", "Mistakes", body)


def _totals(subject: Subject) -> Mapping[str, Html]:
    """Return the number of cases of each kind, with its meaning."""
    counts = {kind: sum(case.kind == kind for case in subject.analysis.cases) for kind in MISTAKES}
    return {
        kind: join([number(counts[kind], key=f"analysis/cases/{kind}" if counts[kind] else ""), " ", tag("small", meaning)])
        for kind, meaning in MISTAKES.items()
    }


def _explanation(subject: Subject, cards: int) -> Html:
    total = sum(case.kind != "correct" for case in subject.analysis.cases)
    return paragraph(
        "At score ",
        number(subject.analysis.score, key="analysis/score"),
        ". Dashed green is the truth, red a wrong detection, blue a right one. ",
        "Green outlines are labeled masks, blue areas detected ones. " if subject.analysis.numbers.segm is not None else "",
        f"The {cards:,} crops are the most telling of each kind: the highest scores, the largest missed objects, and the least certain "
        f"correct detections. There are {total:,} mistakes in all; the cells of the confusion matrix list them by image.",
        note=True,
    )


def _card(subject: Subject, index: int, position: int, crop: Thumbnail | None) -> Card:
    case = subject.analysis.cases[position]
    text = subject.case_text(case)
    image = None if crop is None else image_with_boxes(crop, drawn_boxes(subject, case), text)
    sorts = {"object size": area(case.true_box or case.box)}
    sorts |= {name: value for name, value in (("score", case.score), ("IoU", case.iou)) if value is not None}
    filters = {
        "kind": CORRECT if case.kind == "correct" else case.kind,
        "true class": subject.class_name(case.true_class),
        "detected class": subject.class_name(case.detected_class),
    }
    return Card(
        image,
        text,
        join([*_numbers(case, index), short_name(subject.truth.image_name(case.image_id))]),
        filters,
        sorts,
        subject.images.href(case.image_id),
        {"data_case": str(position)},
    )


def _numbers(case: Case, index: int) -> list[Html]:
    path, parts = f"crops/{index}", []
    if case.score is not None:
        parts.append(join(["score ", number(case.score, key=f"{path}/score"), " "]))
    if case.iou is not None:
        parts.append(join(["IoU ", number(case.iou, 2, key=f"{path}/iou"), " "]))
    return [*parts, tag("br")] if parts else []


def drawn_boxes(subject: Subject, case: Case) -> list[DrawnBox]:
    """Return the boxes of a case, the truth first."""
    drawn = []
    if case.true_box is not None:
        drawn.append(DrawnBox(case.true_box, subject.class_name(case.true_class), "truth"))
    if case.box is not None:
        kind = "right" if case.kind == "correct" else "wrong"
        drawn.append(DrawnBox(case.box, f"{subject.class_name(case.detected_class)} {case.score:.2f}", kind))
    return drawn
