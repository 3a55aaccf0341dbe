"""Published weights: what there is, what is known about each, where it lies, and how it is fetched. Imports no torch."""

from detkit.weights.carried import EMBEDDED, EMBEDDED_FACTS, better_models_hint, embedded, needed_embedded
from detkit.weights.entry import NOT_STATED, WeightEntry
from detkit.weights.fetch import Progress, download
from detkit.weights.local import default_folder, places, resolve
from detkit.weights.table import catalog, find

__all__ = [
    "EMBEDDED",
    "EMBEDDED_FACTS",
    "NOT_STATED",
    "Progress",
    "WeightEntry",
    "better_models_hint",
    "catalog",
    "default_folder",
    "download",
    "embedded",
    "find",
    "needed_embedded",
    "places",
    "resolve",
]
