"""Boxes that become ignore regions: nothing is learned and nothing counts there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from detkit.arrays import Flags
from detkit.curation.parts import Part


def ignored(part: Part, rows: Flags, whole: Flags) -> Part:
    """Return the part with boxes as ignore regions.

    Args:
        part: The part.
        rows: ``(N,)`` bool, the boxes that become regions to ignore for their class (crowds).
        whole: ``(N,)`` bool, the boxes that become regions to ignore for every class; their labels become 0.
    """
    records = part.data.records
    columns = {
        **records.columns,
        "is_crowd": records.is_crowd | rows | whole,
        "is_ignore": records.is_ignore | whole,
        "labels": np.where(whole, 0, records.labels),
    }
    return replace(part, data=replace(part.data, records=replace(records, columns=columns), coco_file=None))
