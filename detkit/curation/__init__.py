"""Make, download and curate data sets: the example data set, and public ones. Nothing here prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detkit.lazy import lazy_getattr

if TYPE_CHECKING:
    from detkit.curation.checking.check import check
    from detkit.curation.conversion import convert
    from detkit.curation.data_sets import DATA_SETS, DataSet
    from detkit.curation.example import make_example
    from detkit.curation.fetch import FetchObserver, FetchPlan, fetch_data_set, plan_fetch
    from detkit.curation.merge import Merged, merge_parts
    from detkit.curation.output import OutputOptions, Written, write_parts
    from detkit.curation.parts import LabeledParts, Part, read_parts

_HOMES = {
    ".checking.check": ("check",),
    ".conversion": ("convert",),
    ".data_sets": ("DATA_SETS", "DataSet"),
    ".example": ("make_example",),
    ".fetch": ("FetchObserver", "FetchPlan", "fetch_data_set", "plan_fetch"),
    ".merge": ("Merged", "merge_parts"),
    ".output": ("OutputOptions", "Written", "write_parts"),
    ".parts": ("LabeledParts", "Part", "read_parts"),
}

__all__ = [
    "DATA_SETS",
    "DataSet",
    "FetchObserver",
    "FetchPlan",
    "LabeledParts",
    "Merged",
    "OutputOptions",
    "Part",
    "Written",
    "check",
    "convert",
    "fetch_data_set",
    "make_example",
    "merge_parts",
    "plan_fetch",
    "read_parts",
    "write_parts",
]

__getattr__ = lazy_getattr(__name__, _HOMES)
