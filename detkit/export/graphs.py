"""Choice of the network that an exported file holds."""

from __future__ import annotations

from typing import Any, get_type_hints

from detkit.export.classifier_graph import ClassScores, PixelProbabilities
from detkit.export.graph import Graph, OneStageDetections, OneStageLocations
from detkit.export.region_graph import FasterRCNNDetections, FastRCNNDetections, MaskRCNNDetections
from detkit.export.select import unsupported
from detkit.export.warped_graph import RCNNDetections
from detkit.inference.exported.metadata import OutputKind
from detkit.models import MODELS
from detkit.models.classifier import Classifier
from detkit.models.detector import Detector
from detkit.models.fast_rcnn import FastRCNN
from detkit.models.faster_rcnn import FasterRCNN
from detkit.models.mask_rcnn import MaskRCNN
from detkit.models.one_stage import OneStage
from detkit.models.rcnn import RCNN
from detkit.models.semantic.segmenter import Segmenter

GRAPHS: tuple[tuple[type[Detector], tuple[type[Graph], ...]], ...] = (
    (OneStage, (OneStageDetections, OneStageLocations)),
    (MaskRCNN, (MaskRCNNDetections,)),
    (FasterRCNN, (FasterRCNNDetections,)),
    (Classifier, (ClassScores,)),
    (Segmenter, (PixelProbabilities,)),
    (RCNN, (RCNNDetections,)),
    (FastRCNN, (FastRCNNDetections,)),
)
"""Classes of detectors, each with its graphs, the default one first; the first class that fits is used."""


def graph_of(detector: Detector, outputs: OutputKind | None = None) -> Graph:
    """Return a detector as a function that can be exported.

    Args:
        detector: The detector; it is not modified.
        outputs: Kind of the outputs; None: the default of the detector.

    Raises:
        ValueError: If the detector, or these outputs of it, cannot be exported.
    """
    name, graphs = type(detector).__name__, graphs_of(type(detector))
    if not graphs:
        raise ValueError(f"{name} cannot be exported; these can: {', '.join(exportable_kinds())}")
    by_kind = {graph.kind: graph for graph in graphs}
    if outputs is not None and outputs not in by_kind:
        raise ValueError(f"outputs: {name} has {' or '.join(by_kind)}, got {outputs}")
    graph = by_kind[outputs or graphs[0].kind](detector)  # type: ignore[call-arg]
    if graph.kind == "detections" and (reason := unsupported(graph.rules)):
        other = "; export outputs=locations, from which detkit selects" if "locations" in by_kind else ""
        raise ValueError(f"{name} cannot be exported with NMS: {reason}{other}")
    return graph


def graphs_of(detector: type[Detector]) -> tuple[type[Graph], ...]:
    """Return the graphs of a class of detectors, the default one first; empty if it cannot be exported."""
    return next((graphs for known, graphs in GRAPHS if issubclass(detector, known)), ())


def exportable_kinds() -> tuple[str, ...]:
    """Return the kinds of models that can be exported, by the return type of each config's ``build``."""
    configs: dict[str, Any] = {kind: MODELS.get(kind) for kind in MODELS.names()}
    built = {kind: get_type_hints(config.build).get("return") for kind, config in configs.items()}
    return tuple(kind for kind, detector in built.items() if isinstance(detector, type) and graphs_of(detector))
