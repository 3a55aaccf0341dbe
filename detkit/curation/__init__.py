"""Make, download and curate data sets: the example data set, and public ones. Nothing here prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detkit.lazy import lazy_getattr

if TYPE_CHECKING:
    from detkit.curation.checking.check import check
    from detkit.curation.data_sets import DATA_SETS, DataSet
    from detkit.curation.example import make_example
    from detkit.curation.fetch import FetchObserver, FetchPlan, fetch_data_set, plan_fetch

_HOMES = {
    ".checking.check": ("check",),
    ".data_sets": ("DATA_SETS", "DataSet"),
    ".example": ("make_example",),
    ".fetch": ("FetchObserver", "FetchPlan", "fetch_data_set", "plan_fetch"),
}

__all__ = ["DATA_SETS", "DataSet", "FetchObserver", "FetchPlan", "check", "fetch_data_set", "make_example", "plan_fetch"]

__getattr__ = lazy_getattr(__name__, _HOMES)
