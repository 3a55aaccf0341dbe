"""The summary: the judgment in a few sentences, and the twelve COCO numbers with their intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator

from detkit.evaluation.analysis.analysis import Analysis
from detkit.evaluation.details import ERRORS
from detkit.evaluation.numbers import COCO_NAMES, CocoNumbers
from detkit.report.markup import NOTHING, Html, join, tag
from detkit.report.page import Section
from detkit.report.parts import number, paragraph, tiles, with_interval
from detkit.report.subject import Subject

WEAK_CLASSES = 3
"""Classes that the judgment names."""


def lead(subject: Subject) -> Html:
    """Return the judgment in a few sentences."""
    analysis, counts = subject.analysis, subject.analysis.numbers.counts
    key = "analysis/numbers/counts"
    images = join([number(counts.images, key=f"{key}/images"), " images" if counts.images != 1 else " image"])
    objects = join([number(counts.boxes, key=f"{key}/boxes"), " objects"])
    if not counts.boxes:
        return join(["The data, ", images, ", has no object to detect: there is no AP, and every detection is a false alarm."])
    if not counts.detections:
        return join(["The detector found nothing: no detection on ", images, " with ", objects, ", so AP is 0."])
    interval = analysis.intervals.metrics["AP"]
    path = "analysis/intervals/metrics/AP"
    bounds = join([number(interval.low, key=f"{path}/low"), " to ", number(interval.high, key=f"{path}/high")])
    ap = tag("strong", "AP ", number(analysis.numbers.ap, key="analysis/numbers/values/AP"))
    segm = analysis.numbers.segm
    of_masks = NOTHING if segm is None else join(["; of masks ", number(segm.ap, key="analysis/numbers/segm/values/AP")])
    first = join([ap, " (95 % interval ", bounds, ")", of_masks, " on ", images, " with ", objects, ". "])
    return join([first, *_at_best_score(analysis), *_costliest(analysis), *_weakest(analysis)])


def _at_best_score(analysis: Analysis) -> Iterator[Html]:
    point = analysis.operating_points[0]
    if math.isnan(point.score):
        yield Html("No detection is correct at IoU .5. ")
        return
    key = "analysis/operating_points/0"
    score, recall = number(point.score, key=f"{key}/score"), number(point.recall, 2, key=f"{key}/recall", style="percent")
    precision = number(point.precision, 2, key=f"{key}/precision", style="percent")
    yield join(["At score ", score, ", its best F1, it finds ", recall, " of the objects, and ", precision, " of what it finds is right. "])


def _costliest(analysis: Analysis) -> Iterator[Html]:
    kind, (count, cost) = max(analysis.tide.items(), key=lambda item: item[1][1])
    if cost > 0:
        key = f"analysis/tide/{kind}"
        yield join(["The costliest kind of error: ", ERRORS[kind], " (", number(count, key=f"{key}/count"), " times, "])
        yield join([number(cost, key=f"{key}/ap50"), " of AP50). "])


def _weakest(analysis: Analysis) -> Iterator[Html]:
    known = [(row.ap, index, row.name) for index, row in enumerate(analysis.numbers.classes) if not math.isnan(row.ap)]
    if len(known) < 2:
        return
    weakest = sorted(known)[: min(WEAK_CLASSES, len(known) - 1)]
    parts = [join([", " if position else "", name, " (", _class_ap(ap, index), ")"]) for position, (ap, index, name) in enumerate(weakest)]
    yield join([f"Lowest AP: {NOTHING}", *parts, "."])


def _class_ap(ap: float, index: int) -> Html:
    return number(ap, key=f"analysis/numbers/classes/{index}/ap")


def section(subject: Subject) -> Section:
    """Return the section of the numbers."""
    analysis = subject.analysis
    items = []
    for name, meaning in COCO_NAMES.items():
        interval, path = analysis.intervals.metrics[name], f"analysis/intervals/metrics/{name}"
        value = number(analysis.numbers[name], key=f"analysis/numbers/values/{name}")
        shown = with_interval(value, number(interval.low, key=f"{path}/low"), number(interval.high, key=f"{path}/high"))
        items.append((name, shown, meaning))
    note = paragraph(
        "In small print: 95 % intervals from ",
        number(analysis.intervals.resamples, key="analysis/intervals/resamples"),
        " bootstrap resamples of the images. They cover the choice of the images, not the variation between trainings.",
        note=True,
    )
    masks = NOTHING if analysis.numbers.segm is None else join([tag("h3", "Masks"), tiles(list(_of_masks(analysis.numbers.segm)))])
    warnings = join(paragraph(warning, note=True) for warning in subject.warnings)
    return Section("numbers", "Numbers", join([tiles(items), note, masks, tiles(list(_counts(analysis))), warnings]))


def _of_masks(numbers: CocoNumbers) -> Iterator[tuple[str, Html, str]]:
    for name, meaning in COCO_NAMES.items():
        yield name, number(numbers[name], key=f"analysis/numbers/segm/values/{name}"), meaning


def _counts(analysis: Analysis) -> Iterator[tuple[str, Html, str]]:
    counts, key = analysis.numbers.counts, "analysis/numbers/counts"
    yield "images", number(counts.images, key=f"{key}/images"), ""
    yield "objects", number(counts.boxes, key=f"{key}/boxes"), "to detect"
    if counts.ignored:
        yield "crowds", number(counts.ignored, key=f"{key}/ignored"), "neither right nor wrong"
    yield "detections", number(counts.detections, key=f"{key}/detections"), "of any score"
    point, key = analysis.operating_points[0], "analysis/operating_points/0"
    for name, note in (("score", "of the best F1, all classes"), ("precision", "at this score"), ("recall", "at this score"), ("f1", "")):
        yield name.replace("f1", "F1"), number(getattr(point, name), key=f"{key}/{name}"), note
