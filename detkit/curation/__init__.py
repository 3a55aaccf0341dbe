"""Make, download and curate data sets: the example data set, and public ones. Nothing here prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detkit.lazy import lazy_getattr

if TYPE_CHECKING:
    from detkit.curation.checking.check import check
    from detkit.curation.conversion import convert
    from detkit.curation.data_sets import DATA_SETS, DataSet
    from detkit.curation.duplicates.check import check_pixels
    from detkit.curation.duplicates.find import find_duplicates
    from detkit.curation.duplicates.groups import Duplicates
    from detkit.curation.example import make_example
    from detkit.curation.fetch import FetchObserver, FetchPlan, fetch_data_set, plan_fetch
    from detkit.curation.filter import Area, Filtered, FilterOptions, filter_parts
    from detkit.curation.label_errors.candidates import LabelErrors
    from detkit.curation.label_errors.find import find_label_errors
    from detkit.curation.label_errors.label_set import label_set
    from detkit.curation.merge import Merged, merge_parts
    from detkit.curation.output import OutputOptions, Written, write_parts
    from detkit.curation.parts import LabeledParts, Part, read_parts
    from detkit.curation.rename import Renamed, read_renames, rename_classes
    from detkit.curation.split.divide import Split, SplitOptions, split_parts
    from detkit.curation.subset import Subset, SubsetOptions, subset_of_ids, subset_of_names, subset_parts
    from detkit.curation.tile import Tiled, TileOptions, tile_parts

_HOMES = {
    ".checking.check": ("check",),
    ".conversion": ("convert",),
    ".data_sets": ("DATA_SETS", "DataSet"),
    ".duplicates.check": ("check_pixels",),
    ".duplicates.find": ("find_duplicates",),
    ".duplicates.groups": ("Duplicates",),
    ".example": ("make_example",),
    ".fetch": ("FetchObserver", "FetchPlan", "fetch_data_set", "plan_fetch"),
    ".filter": ("Area", "FilterOptions", "Filtered", "filter_parts"),
    ".label_errors.candidates": ("LabelErrors",),
    ".label_errors.find": ("find_label_errors",),
    ".label_errors.label_set": ("label_set",),
    ".merge": ("Merged", "merge_parts"),
    ".output": ("OutputOptions", "Written", "write_parts"),
    ".parts": ("LabeledParts", "Part", "read_parts"),
    ".rename": ("Renamed", "read_renames", "rename_classes"),
    ".split.divide": ("Split", "SplitOptions", "split_parts"),
    ".subset": ("Subset", "SubsetOptions", "subset_of_ids", "subset_of_names", "subset_parts"),
    ".tile": ("TileOptions", "Tiled", "tile_parts"),
}

__all__ = [
    "DATA_SETS",
    "Area",
    "DataSet",
    "Duplicates",
    "FetchObserver",
    "FetchPlan",
    "FilterOptions",
    "Filtered",
    "LabelErrors",
    "LabeledParts",
    "Merged",
    "OutputOptions",
    "Part",
    "Renamed",
    "Split",
    "SplitOptions",
    "Subset",
    "SubsetOptions",
    "TileOptions",
    "Tiled",
    "Written",
    "check",
    "check_pixels",
    "convert",
    "fetch_data_set",
    "filter_parts",
    "find_duplicates",
    "find_label_errors",
    "label_set",
    "make_example",
    "merge_parts",
    "plan_fetch",
    "read_parts",
    "read_renames",
    "rename_classes",
    "split_parts",
    "subset_of_ids",
    "subset_of_names",
    "subset_parts",
    "tile_parts",
    "write_parts",
]

__getattr__ = lazy_getattr(__name__, _HOMES)
