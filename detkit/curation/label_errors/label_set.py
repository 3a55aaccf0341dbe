"""A label set to correct: the images of the first candidates, with their labels and with suggestions that are marked as such."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from detkit.curation.label_errors.candidates import Candidate, ErrorKind, LabelErrors
from detkit.curation.parts import LabeledParts, Part
from detkit.data.records import ImageRecord, Records
from detkit.structures import Targets

MARK = "?"
"""First character of the class names of suggestions: ``?cat`` is a box that should be a cat."""
DOUBT = "?not "
"""Beginning of the class names of doubtful boxes without a better one: a second box ``?not cat`` lies over the label."""


def suggested_name(candidate: Candidate) -> str:
    """Return the class name under which a candidate is in the label set."""
    return MARK + candidate.suggested_class if candidate.suggested_class else DOUBT + candidate.class_name


def label_set(parts: LabeledParts, errors: LabelErrors, top: int) -> LabeledParts:
    """Return the images of the first candidates; every label stays as it is, and every candidate adds a box.

    The added boxes have class names that begin with ``?``, in any format: ``?cat`` is a missing cat, a better box for a cat, or lies over a
    label that should be a cat; ``?not cat`` lies over a label that the detector does not support. Who corrects the labels accepts or
    deletes these boxes, and ``detkit data filter --drop-classes`` removes those that are left.

    Args:
        parts: The data.
        errors: The candidates.
        top: Number of candidates.

    Raises:
        ValueError: If there are no candidates.
    """
    if not errors.candidates:
        raise ValueError(f"{parts.name}: there are no candidates, so there is nothing to correct")
    chosen = errors.candidates[:top]
    added = tuple(sorted({suggested_name(one) for one in chosen} - set(parts.class_names)))
    by_part: dict[str, list[Candidate]] = defaultdict(list)
    for one in chosen:
        by_part[one.part].append(one)
    return LabeledParts(parts.name, {name: _part(part, by_part[name], added) for name, part in parts if name in by_part})


def _part(part: Part, candidates: Sequence[Candidate], added: tuple[str, ...]) -> Part:
    by_image: dict[int, list[Candidate]] = defaultdict(list)
    for one in candidates:
        by_image[one.image].append(one)
    names = (*part.data.class_names, *added)
    first = max(part.data.category_ids, default=0) + 1
    records = [_record(part.data.records[image], rows, names) for image, rows in by_image.items()]
    data = replace(
        part.data,
        class_names=names,
        category_ids=(*part.data.category_ids, *range(first, first + len(added))),
        records=Records.of(records),
        coco_file=None,
    )
    return Part(data, tuple(part.names[image] for image in by_image))


def _record(record: ImageRecord, candidates: Sequence[Candidate], names: tuple[str, ...]) -> ImageRecord:
    boxes = torch.tensor([_suggested_box(one) for one in candidates], dtype=torch.float32).reshape(-1, 4)
    labels = torch.tensor([names.index(suggested_name(one)) for one in candidates], dtype=torch.int64)
    kind: type[Targets] = type(record.targets)
    return replace(record, targets=kind.cat([record.targets, kind.of(boxes, labels)]))


def _suggested_box(candidate: Candidate) -> Any:
    box = candidate.box if candidate.kind is ErrorKind.CLASS or candidate.suggested_box is None else candidate.suggested_box
    if box is None:
        raise ValueError(f"{candidate.file}: a candidate without a box")
    return box
