"""Duplicates and leaks by the content of images, damaged files, and the cache that makes a second run fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detkit.lazy import lazy_getattr

if TYPE_CHECKING:
    from detkit.curation.duplicates.check import check_pixels
    from detkit.curation.duplicates.find import find_duplicates
    from detkit.curation.duplicates.groups import Duplicates, Pair, Relation

_HOMES = {".check": ("check_pixels",), ".find": ("find_duplicates",), ".groups": ("Duplicates", "Pair", "Relation")}

__all__ = ["Duplicates", "Pair", "Relation", "check_pixels", "find_duplicates"]

__getattr__ = lazy_getattr(__name__, _HOMES)
