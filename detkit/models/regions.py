"""Detectors with a second stage: their interface, and the layout of its class-dependent parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from detkit.heads.class_layout import ClassLayout
from detkit.heads.region.classifier import RegionClassifier
from detkit.heads.text_classes import TextLogits

if TYPE_CHECKING:
    from typing_extensions import TypeIs

EMBEDDINGS = "predictor.logits.embeddings"
"""Name of the text embeddings of the classes within the second stage."""


class RegionDetector(Protocol):
    """A detector whose second stage pools regions, classifies them and refines their boxes."""

    region: RegionClassifier


def has_regions(detector: object) -> TypeIs[RegionDetector]:
    """Whether a detector has a second stage, wherever its regions come from."""
    return isinstance(getattr(detector, "region", None), RegionClassifier)


def region_layout(region: RegionClassifier) -> dict[str, ClassLayout]:
    """Return the class layouts of the last layers, by their names in a detector; background is the last row of linear logits."""
    predictor = region.predictor
    rows: dict[str, ClassLayout] = {}
    layers: dict[str, ClassLayout] = {}
    if isinstance(predictor.logits, TextLogits):
        rows[f"region.{EMBEDDINGS}"] = ClassLayout()
    else:
        layers["predictor.logits"] = ClassLayout(after=1)
    if predictor.deltas is not None:
        layers["predictor.deltas"] = ClassLayout(per_class=4)
    if region.fitted is not None:
        layers |= {"fitted.svm": ClassLayout(), "fitted.boxes": ClassLayout(per_class=4)}
    return rows | {f"region.{layer}.{part}": layout for layer, layout in layers.items() for part in ("weight", "bias")}
