"""Two parts with hostile names and several problems, and the report about them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from detkit.curation.parts import LabeledParts, Part
from detkit.data import DetectionData
from detkit.data.checks.findings import Finding, Others, Rule, Severity
from detkit.data.checks.report import CheckReport
from detkit.data.records import ImageRecord, Records
from detkit.structures import Targets

NAMES = ("<b>cat</b>", 'dog "&', "犬\n2", "unused")
SIZE = (90, 120)
DOUBLED = Rule("duplicate_box", Severity.ERROR, "boxes that occur twice", "remove one of them")
CONFLICT = Rule("class_conflict", Severity.WARNING, "boxes on one <i>object</i>", "keep the right one")
LEAK = Rule("leak", Severity.ERROR, "images that are in two parts", "move them")
UNUSED = Rule("unused_class", Severity.NOTE, "classes without objects", "nothing to do")


def checked(folder: Path, images: int = 12) -> tuple[LabeledParts, CheckReport]:
    """Write images of a training and a validation part, and return them with findings: image ``i`` has ``i % 4`` boxes."""
    folder.mkdir(exist_ok=True)
    train, val = (Part.of(_data(folder, name, count)) for name, count in (("train", images), ("val", 4)))
    boxes = np.array([train.data.records.offsets[3], train.data.records.offsets[3] + 1, train.data.records.offsets[7]])
    pairs = Others("val", val.data, np.array([2]))
    findings = (
        Finding.of_texts(UNUSED, "", ["unused"]),
        Finding.of_boxes(CONFLICT, "train", train.data, boxes[:1], details=["<script>alert(1)</script>"]),
        Finding.of_boxes(DOUBLED, "train", train.data, boxes),
        Finding.of_images(LEAK, "train", train.data, np.array([5]), other=pairs),
    )
    return LabeledParts("a <b> & c", {"train": train, "val": val}), CheckReport("a <b> & c", findings)


def _data(folder: Path, name: str, count: int) -> DetectionData:
    records = []
    for index in range(count):
        path = folder / f"{name} {index:02d} é&.png"
        Image.fromarray(np.full((*SIZE, 3), 40 + 5 * index, np.uint8)).save(path)
        size = 10.0 + 30 * (index % 3)
        boxes = [[4.0 + 9 * n, 5.0, 4.0 + 9 * n + size, 5.0 + size] for n in range(index % 4)]
        labels = [(index + n) % 3 for n in range(index % 4)]
        targets = Targets.of(torch.tensor(boxes).reshape(-1, 4), torch.tensor(labels, dtype=torch.int64))
        records.append(ImageRecord(path, index, SIZE, targets))
    return DetectionData(name, NAMES, (1, 2, 3, 4), Records.of(records), image_root=str(folder))
