"""Export of a detector to an ONNX file."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from detkit.about import __version__
from detkit.checkpoint.atomic import atomic_write
from detkit.checkpoint.operating_points import OperatingPoints
from detkit.export.agreement import MAX_BOX_DIFFERENCE, MAX_SCORE_DIFFERENCE, Agreement, compare
from detkit.export.graph import Graph
from detkit.inference.exported.metadata import FORMAT, METADATA_KEY, ExportMetadata
from detkit.inference.exported.onnx import SUFFIX
from detkit.inference.exported.outputs import IMAGES, OUTPUTS
from detkit.inference.image_like import ImageLike
from detkit.inference.predictor import Predictor
from detkit.models.one_stage import OneStage
from detkit.preprocess import preprocess

OPSET = 17
"""Version of the ONNX operator set, from 2022, which current and several-year-old runtimes support."""
_TRACE_SIZE = (480, 640)


def export_onnx(
    predictor: Predictor,
    path: str | Path,
    images: Sequence[ImageLike],
    batch_size: int = 1,
    *,
    min_score: float | None = None,
    operating_points: OperatingPoints | None = None,
) -> Agreement:
    """Export a one-stage detector to a file for onnxruntime and other runtimes, and compare the outputs of both.

    Inputs and outputs of the file are those of :class:`detkit.export.graph.Graph`. Height and width are dynamic, except for detectors
    with a fixed input size. The batch size is fixed. :func:`detkit.inference.load` reads the file.

    Args:
        predictor: The detector, in reference mode on the CPU.
        path: File name ending in ``.onnx``; an existing file is replaced once the new one is complete and verified.
        images: Images on which both are compared.
        batch_size: Batch size of the file.
        min_score: Suggested minimum score for showing detections, stored in the file; see :func:`detkit.inference.suggested_min_score`.
        operating_points: The scores at which the detector worked best on its validation data, stored in the file.

    Returns:
        The differences between the detector and the file.

    Raises:
        ValueError: If the detector has more than one stage, the predictor is not in reference mode, or the outputs of the file differ
            from those of the detector.
        ImportError: If onnx or onnxruntime is not installed.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise ValueError(f"{path}: expected a file name ending in {SUFFIX}")
    graph = _graph(predictor)
    onnx = _onnx()
    metadata = _metadata(predictor, graph.detector, batch_size).replace(
        min_score=min_score, operating_points=None if operating_points is None else json.dumps(operating_points.to_dict())
    )
    with atomic_write(path) as temporary:
        _trace(predictor, graph, batch_size, temporary)
        model = onnx.load(str(temporary))
        entry = model.metadata_props.add()
        entry.key, entry.value = METADATA_KEY, metadata.to_json()
        _name_dimensions(model, batch_size, metadata)
        temporary.write_bytes(model.SerializeToString())
        agreement = compare(predictor.without_operating_points(), str(temporary), images)
        if not agreement.holds:
            raise ValueError(
                f"{path}: not written: its outputs differ from those of the detector: scores by up to {agreement.score:.2g} (expected at "
                f"most {MAX_SCORE_DIFFERENCE:g}), boxes by up to {agreement.box:.2g} pixels (expected at most {MAX_BOX_DIFFERENCE:g})"
            )
    return agreement


def _graph(predictor: Predictor) -> Graph:
    """Return the part of a detector that is exported, or raise if it cannot be."""
    graph = Graph(predictor.detector)
    if not predictor.reference or predictor.device.type != "cpu":
        raise ValueError('an optimized predictor cannot be exported; load the detector with device="cpu" and reference=True')
    return graph


def _metadata(predictor: Predictor, detector: OneStage, batch_size: int) -> ExportMetadata:
    red, green, blue = detector.mean.flatten().tolist()
    return ExportMetadata(
        format=FORMAT,
        detkit=__version__,
        detector=type(detector).__name__,
        class_names=predictor.class_names,
        preprocess=predictor.preprocess.to_json(),
        postprocess=detector.head.postprocess.to_json(),
        mean=(red, green, blue),
        pad_multiple=detector.pad_multiple,
        input_size=detector.input_size,
        batch_size=batch_size,
        min_score=None,
    )


def _trace(predictor: Predictor, graph: Graph, batch_size: int, path: Path) -> None:
    """Write the graph with torch's tracing exporter, which takes seconds where the dynamo exporter takes minutes."""
    pixels = torch.zeros((3, *_TRACE_SIZE), dtype=torch.uint8)
    image = preprocess(pixels, predictor.preprocess).image
    images = predictor.detector.prepare([image] * batch_size).images
    dynamic_axes = {IMAGES: {2: "height", 3: "width"}, "scores": {1: "locations"}, "boxes": {1: "locations"}}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # about values that become constants; the comparison of outputs verifies them
        torch.onnx.export(
            graph,
            (images,),
            str(path),
            input_names=[IMAGES],
            output_names=list(OUTPUTS["locations"]),
            dynamic_axes={} if graph.detector.input_size is not None else dynamic_axes,
            opset_version=OPSET,
            dynamo=False,
        )


def _name_dimensions(model: Any, batch_size: int, metadata: ExportMetadata) -> None:
    """State the known dimensions of the outputs; the tracer names them after its nodes."""
    known: dict[str, dict[int, int]] = {"scores": {0: batch_size, 2: len(metadata.class_names)}, "boxes": {0: batch_size, 2: 4}}
    for output in model.graph.output:
        for position, length in known.get(output.name, {}).items():
            output.type.tensor_type.shape.dim[position].dim_value = length


def _onnx() -> Any:
    try:
        import onnx
    except ImportError:
        raise ImportError("onnx, which writes the file, is not installed: pip install 'detkit-vision[export]'") from None
    return onnx
