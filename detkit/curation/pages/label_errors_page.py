"""The page of label errors: ranked crops with the label and the suggestion, filtered by kind, class and part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detkit.curation.label_errors.candidates import Candidate, ErrorKind, LabelErrors
from detkit.curation.parts import LabeledParts
from detkit.data.record_image import read_record
from detkit.report.gallery import Card, DrawnBox, gallery, image_with_boxes
from detkit.report.images import MAX_BYTES, Thumbnail, Wanted, region_around, thumbnails
from detkit.report.markup import Content, Html, join, tag
from detkit.report.page import Page, Section
from detkit.report.parts import facts, number, paragraph, tiles

SHOWN = 500
"""Candidates on the page."""
CROP_SIDE = 256
_MEANING = {
    ErrorKind.MISSING: "the detector finds an object that has no label",
    ErrorKind.BOX: "the detector finds nothing there, or the object at another place",
    ErrorKind.CLASS: "the detector finds another class in the same box",
}


def write_label_errors_page(
    parts: LabeledParts, errors: LabelErrors, path: str | Path, *, shown: int = SHOWN, max_bytes: int = MAX_BYTES
) -> int:
    """Write the page, one HTML file that opens offline, and return its size in bytes.

    Args:
        parts: The data.
        errors: The candidates in it.
        path: The file.
        shown: Largest number of candidates on the page, the most probable ones.
        max_bytes: Limit of the images in the file; candidates beyond it are listed without an image.

    Raises:
        WriteError: If the file cannot be written.
    """
    chosen = errors.candidates[:shown]
    wanted = [Wanted((one.part, one.image), region_around(one.boxes), CROP_SIDE) for one in chosen]
    made = thumbnails(wanted, lambda key: read_record(parts.parts[key[0]].data.records[key[1]]), max_bytes)
    cards = [_card(rank, one, crop) for rank, (one, crop) in enumerate(zip(chosen, made.images, strict=True), 1)]
    sections = [_overview(errors), _candidates(errors, cards, len(parts.parts) > 1), _about(errors)]
    return Page("Label errors", sections, _lead(errors)).write(path)


def _lead(errors: LabelErrors) -> Html:
    if not errors.candidates:
        return join([f"No label of {errors.source} looks wrong to {errors.model}."])
    count = len(errors.candidates)
    return join([f"{count:,} candidates for a correction, in {errors.source} with {errors.labels:,} labels. Look at the first ones first."])


def _overview(errors: LabelErrors) -> Section:
    counted = tiles([(kind.value, number(count), _MEANING[kind]) for kind, count in errors.counts.items()])
    warnings = [paragraph(line) for line in errors.warnings]
    if errors.unknown_classes:
        listed = ", ".join(f"{name} ({count:,})" for name, count in errors.unknown_classes.items())
        warnings.append(paragraph(f"Not judged, because the detector does not know the class: {listed}."))
    return Section("overview", "Overview", join([counted, *warnings]))


def _candidates(errors: LabelErrors, cards: Sequence[Card], divided: bool) -> Section:
    text = (
        f"Dashed green is the label, red the detection. The score is the probability of an error under the assumptions below. "
        f"These are the first {len(cards):,} of {len(errors.candidates):,} candidates; all are in the JSON or CSV file."
    )
    filters = ("kind", "class", "suggested class", *(("part",) if divided else ()))
    shown = gallery(cards, "candidates-gallery", filters=filters, orders=("score", "detection score", "object size", "-object size"))
    return Section("candidates", "Candidates", join([paragraph(text, note=True), shown]))


def _card(rank: int, one: Candidate, crop: Thumbnail | None) -> Card:
    title = _title(one)
    boxes = [DrawnBox(one.box, one.class_name, "truth")] if one.box else []
    if one.suggested_box:
        score = "" if one.detection_score is None else f" {one.detection_score:.2f}"
        boxes.append(DrawnBox(one.suggested_box, f"{one.suggested_class}{score}", "wrong"))
    lines = [f"{rank}. score ", number(one.score), tag("br"), one.file, *([f", object {one.row}"] if one.row else [])]
    filters = {"kind": one.kind.value, "class": one.class_name, "suggested class": one.suggested_class, "part": one.part}
    x1, y1, x2, y2 = one.boxes[0]
    sorts = {"score": one.score, "object size": (x2 - x1) * (y2 - y1)}
    sorts |= {} if one.detection_score is None else {"detection score": one.detection_score}
    image = None if crop is None else image_with_boxes(crop, boxes, title)
    return Card(image, title, join(lines), filters, sorts, attributes={"data_rank": str(rank)})


def _title(one: Candidate) -> str:
    if one.kind is ErrorKind.MISSING:
        return f"{one.suggested_class} without a label"
    if one.kind is ErrorKind.CLASS:
        return f"{one.class_name}, or {one.suggested_class}?"
    return f"{one.class_name} drawn badly?" if one.suggested_box else f"no {one.class_name} found"


def _about(errors: LabelErrors) -> Section:
    items: list[tuple[str, Content]] = [
        ("data", errors.source),
        ("detector", errors.model),
        ("images", number(errors.images)),
        ("labels judged", number(errors.labels)),
        ("classes not in the data", ", ".join(errors.unused_classes) or "none"),
    ]
    text = (
        "A label is doubtful if no detection supports it although the detector usually finds objects of this class and size, or if a "
        "detection lies nearby that no label explains. How much each of this weighs is learned from these data: boxes are moved, classes "
        "exchanged and labels removed, and a regression for each kind tells them from the labels as they are. The score assumes that 3 of "
        "100 labels are wrong in each way. Crowds and ignore regions never count; the score of difficult labels is halved."
    )
    return Section("about", "About", join([facts(items), paragraph(text, note=True)]))
