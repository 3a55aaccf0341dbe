"""Published weights: catalog, location on this machine, and download. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detkit.lazy import lazy_getattr

if TYPE_CHECKING:
    from detkit.weights.embedded import (
        EMBEDDED,
        EMBEDDED_INFO,
        better_models_hint,
        embedded_onnx_path,
        embedded_path,
        require_embedded_path,
    )
    from detkit.weights.entry import NOT_STATED, WeightEntry
    from detkit.weights.fetch import Progress, download
    from detkit.weights.local import default_folder, resolve, search_folders
    from detkit.weights.table import catalog, find

__all__ = [
    "EMBEDDED",
    "EMBEDDED_INFO",
    "NOT_STATED",
    "Progress",
    "WeightEntry",
    "better_models_hint",
    "catalog",
    "default_folder",
    "download",
    "embedded_onnx_path",
    "embedded_path",
    "find",
    "require_embedded_path",
    "resolve",
    "search_folders",
]

# A download needs the modules of the network, which take longer to import than all others here.
__getattr__ = lazy_getattr(
    __name__,
    {
        ".embedded": ("EMBEDDED", "EMBEDDED_INFO", "better_models_hint", "embedded_onnx_path", "embedded_path", "require_embedded_path"),
        ".entry": ("NOT_STATED", "WeightEntry"),
        ".fetch": ("Progress", "download"),
        ".local": ("default_folder", "resolve", "search_folders"),
        ".table": ("catalog", "find"),
    },
)
