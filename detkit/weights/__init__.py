"""Published weights: what there is, what is known about each, where it lies, and how it is fetched. Imports no torch."""

from detkit.weights.catalogue import catalogue, find
from detkit.weights.download import Progress, download
from detkit.weights.entry import NOT_STATED, WeightEntry
from detkit.weights.places import default_folder, places, resolve

__all__ = ["NOT_STATED", "Progress", "WeightEntry", "catalogue", "default_folder", "download", "find", "places", "resolve"]
