"""The page of a family strip: detectors of several generations on one photo, with sliders and what answers for each box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from detkit.arrays import ImageArray
from detkit.diagnostics.family import FamilyMember
from detkit.drawing.palette import color_of
from detkit.report.images import encode
from detkit.report.markup import Html, join, tag
from detkit.report.page import Page, Section
from detkit.report.parts import paragraph

_PHOTO_SIDE, _STRIP_SIDE = 1100, 2400
"""Longest sides in pixels of the photo and of the drawn strip in the page."""


def strip_page(name: str, photo: ImageArray, strip: ImageArray, members: Sequence[FamilyMember]) -> Page:
    """Return the page.

    Args:
        name: Name of the photo.
        photo: The photo, ``(H, W, 3)`` uint8 RGB.
        strip: The drawn strip.
        members: The detectors, the oldest first.
    """
    drawn, shrunk = encode(strip, _STRIP_SIDE), encode(photo, _PHOTO_SIDE)
    image = tag("img", src=drawn.uri, width=drawn.width, height=drawn.height, alt="The photo, once per detector")
    lead = Html("") if not members else join(["One photo, seen by ", ", ".join(member.title for member in members), "."])
    overview = join(
        [
            tag("figure", tag("div", tag("div", image, class_="image"), class_="scroll"), class_="wide"),
            paragraph(
                "Above: the detections. Below, in the same color: what answers for each. Anchors are dashed, with the proposals that they "
                "became; a point is joined to the center of its box; a query is the path of its box from layer to layer.",
                note=True,
            ),
        ]
    )
    everything = tag("label", tag("input", type="checkbox", id="all-answers"), " show what answers for every box", class_="all-answers")
    explorer = join(
        [
            paragraph("Move the sliders: NMS runs again, in this page, on the candidates of the detector. Point at a box, or tap it."),
            everything,
            tag("div", *(_card(index, member) for index, member in enumerate(members)), class_="members"),
        ]
    )
    data = {
        "photo": {"uri": shrunk.uri, "width": photo.shape[1], "height": photo.shape[0]},
        "members": [member_data(member) for member in members],
    }
    sections = (Section("strip", "The strip", overview), Section("explore", "Explore", explorer))
    return Page(f"{name}: a family of detectors", sections, lead, {"strip-data": data}, ("strip.js",), ("strip.css",))


def member_data(member: FamilyMember) -> dict[str, Any]:
    """Return what the page needs of a detector, as JSON values; boxes of candidates are exact, in pixels of the detector's input."""
    candidates, rules, placement = member.candidates, member.last.rules, member.explanation.placement
    answering, rows = torch.unique(member.candidate_rows, return_inverse=True)
    locations, labels = member.locations[answering], candidates.labels.tolist()
    scale = placement.scale
    return {
        "location": member.last.location_name,
        "plural": member.last.location_names,
        "count": len(member.locations),
        "total": len(member.last.before_nms),
        "place": [placement.offset[1], placement.offset[0], scale[0], scale[1]],
        "boxes": _exact(candidates.boxes),
        "scores": _exact(candidates.scores),
        "labels": labels,
        "rows": rows.tolist(),
        "ids": answering.tolist(),
        "width": locations.shape[1],
        "locations": _rounded(locations),
        "origins": None if (origins := member.origins) is None else _rounded(origins[answering]),
        "steps": None if (steps := member.steps) is None else _rounded(steps[answering]),
        "step_names": list(member.last.refinement),
        "names": {label: str(member.class_names[label]) for label in sorted(set(labels))},
        "colors": {label: "#{:02x}{:02x}{:02x}".format(*color_of(label)) for label in sorted(set(labels))},
        "rules": {
            "nms": "hard" if rules is None else rules.nms,
            "nms_iou": None if rules is None else rules.nms_iou,
            "sigma": 0.5 if rules is None else rules.sigma,
            "class_agnostic": rules is not None and rules.class_agnostic,
            "max_detections": None if rules is None else rules.max_detections,
            "min_score": 0.0 if rules is None else rules.min_score,
        },
        "min_score": member.min_score,
    }


def _card(index: int, member: FamilyMember) -> Html:
    """Return the card of a detector, which the script fills."""
    kept, total = len(member.candidates), len(member.last.before_nms)
    bounded = f", the best {kept:,} of them in this page" if kept < total else ""
    about = f"{member.name}: {len(member.locations):,} {member.last.location_names}; {total:,} candidates before NMS{bounded}"
    controls = tag(
        "div",
        _slider("Score", "score"),
        _slider("NMS IoU", "iou"),
        tag("button", "Reset", type="button", class_="reset"),
        class_="controls",
    )
    return tag(
        "div",
        tag("h3", member.title),
        paragraph(about, note=True),
        tag("div", class_="view"),
        controls,
        tag("p", class_="counts", aria_live="polite"),
        tag("p", "Point at a box, or tap it.", class_="answer", aria_live="polite"),
        class_="member",
        data_member=index,
    )


def _slider(title: str, kind: str) -> Html:
    control = tag("input", type="range", class_=kind, min="0", max="1", step="0.01", aria_label=title)
    return tag("label", tag("span", title), control, tag("output"))


def _exact(values: Tensor) -> list[float]:
    """Return float32 numbers with the fewest digits from which a reader that rounds to float32 gets them back."""
    return [float(str(value)) for value in values.float().numpy().ravel()]


def _rounded(values: Tensor) -> list[float]:
    numbers: list[float] = np.round(values.double().numpy().ravel(), 1).tolist()
    return numbers
