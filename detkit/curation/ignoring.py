"""Boxes that become ignore regions: nothing is learned and nothing counts there."""

from __future__ import annotations

from dataclasses import replace

from detkit.arrays import Flags
from detkit.curation.parts import Part


def ignored(part: Part, rows: Flags) -> Part:
    """Return the part with the boxes where ``rows``, ``(N,)`` bool, is set as ignore regions (crowds)."""
    records = part.data.records
    columns = {**records.columns, "is_crowd": records.is_crowd | rows}
    return replace(part, data=replace(part.data, records=replace(records, columns=columns), coco_file=None))
