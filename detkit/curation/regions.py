"""Regions to ignore in a data set that is written: as crowds, as difficult objects, or as boxes of a class of their own."""

from __future__ import annotations

from dataclasses import replace

from detkit.curation.parts import LabeledParts, Part
from detkit.data.ignore import with_ignore_class
from detkit.data.writers.protocol import Holds


def with_ignored_regions(data: LabeledParts, holds: Holds) -> LabeledParts:
    """Return a data set whose regions to ignore are stated in a way that a format has.

    Regions of no class are boxes of the class that :mod:`detkit.data.ignore` names, which comes last and which all parts have if one
    needs it. Crowds are difficult objects where the format has no flag for crowds, and boxes of that class where it has neither.
    """
    changed = {name: _stated(part, holds) for name, part in data}
    longest = max((part.data for part in changed.values()), key=lambda data: len(data.class_names))
    names, ids = longest.class_names, longest.category_ids
    parts = {name: replace(part, data=replace(part.data, class_names=names, category_ids=ids)) for name, part in changed.items()}
    return replace(data, parts=parts)


def _stated(part: Part, holds: Holds) -> Part:
    data = with_ignore_class(part.data, crowds=not holds.crowds and not holds.difficult)
    if holds.difficult and not holds.crowds:
        columns = {**data.records.columns, "is_difficult": data.records.is_difficult | data.records.is_crowd}
        data = replace(data, records=replace(data.records, columns=columns))
    return replace(part, data=data)
