from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from detkit.evaluation.analysis.groups import AREAS, COUNTS, Groups
from detkit.evaluation.analysis.matching import COCO_RANGES, IOU_THRESHOLDS, match
from detkit.evaluation.coco import evaluate_coco


def test_groups_are_evaluations_of_their_part(difficult_scene: Any) -> None:
    truth, results = difficult_scene(images=30, detections=900, detected=0.7)
    groups = Groups.of(match(truth, results, COCO_RANGES + AREAS, IOU_THRESHOLDS))
    numbers = evaluate_coco(truth.to_dict(), results)
    assert [group.ap for group in groups.sizes] == pytest.approx([numbers[name] for name in ("APs", "APm", "APl")], rel=1e-12)
    assert [group.ar for group in groups.sizes] == pytest.approx([numbers[name] for name in ("ARs", "ARm", "ARl")], rel=1e-12)
    objects = numbers.counts.boxes
    assert sum(group.objects for group in groups.areas) == sum(group.objects for group in groups.crowdedness) == objects
    counts = dict.fromkeys(truth.image_ids, 0)
    for row in truth.annotations:
        counts[row["image_id"]] += not row["iscrowd"]
    seen = 0
    for group, (low, high) in zip(groups.crowdedness, COUNTS, strict=True):
        images = {image_id for image_id, count in counts.items() if low <= count <= high}
        assert group.images == len(images)
        if images:
            part = {**truth.to_dict(), "images": [{"id": image_id} for image_id in images]}
            expected = evaluate_coco(part, [row for row in results if row["image_id"] in images])
            assert (group.ap, group.ap50, group.ar) == pytest.approx((expected["AP"], expected["AP50"], expected["AR100"]), rel=1e-12)
            seen += 1
        else:
            assert math.isnan(group.ap)
    assert seen >= 3


def test_area_of_a_bound_belongs_to_the_group_above() -> None:
    for (_, high), (low, _) in pairwise(AREAS):
        assert high < low == np.nextafter(high, np.inf)
