"""Export of a detector to an ONNX file."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from detkit.about import __version__
from detkit.checkpoint.atomic import atomic_write
from detkit.export.agreement import Agreement, compare
from detkit.export.graph import Graph
from detkit.export.graphs import graph_of
from detkit.export.half import to_half
from detkit.export.opencv import OpenCvLocations, check_in_opencv, predictor_of_size
from detkit.export.quantization.int8 import write_int8
from detkit.export.settings import ExportSettings
from detkit.inference.exported.metadata import FORMAT, METADATA_KEY, ExportMetadata
from detkit.inference.exported.onnx import SUFFIX, OnnxRuntime
from detkit.inference.image_like import ImageLike
from detkit.inference.predictor import Predictor
from detkit.machine import processor
from detkit.preprocess import preprocess
from detkit.proposals import ProposalsConfig

_TRACE_SIZE = (480, 640)
_TRACE_IMAGES = 2
"""Images that a graph for any number of images is traced with; of one, its number would become a constant."""


def export_onnx(predictor: Predictor, path: str | Path, images: Sequence[ImageLike], settings: ExportSettings | None = None) -> Agreement:
    """Export a detector to a file for onnxruntime and other runtimes, and compare the detections of both.

    Inputs and outputs of the file are described in :data:`detkit.inference.exported.outputs.OUTPUTS`. Height and width are dynamic, except
    for detectors with a fixed input size. :func:`detkit.inference.load` reads the file.

    Args:
        predictor: The detector, in reference mode on the CPU.
        path: File name ending in ``.onnx``; an existing file is replaced once the new one is complete and verified.
        images: Images on which both are compared.
        settings: Outputs, batch size, operator set, precision, and what the file records.

    Returns:
        The differences between the detector and the file.

    Raises:
        ValueError: If the detector cannot be exported, the predictor is not in reference mode, or the detections of the file differ from
            those of the detector.
        ImportError: If onnx or onnxruntime is not installed.
    """
    path, settings = Path(path), settings or ExportSettings()
    if path.suffix != SUFFIX:
        raise ValueError(f"{path}: expected a file name ending in {SUFFIX}")
    if settings.for_opencv:
        settings = replace(settings, batch_size=1)
        predictor = predictor_of_size(predictor, settings.size)
    graph = _graph(predictor, settings)
    with atomic_write(path) as temporary:
        _write(predictor, graph, settings, temporary)
        plain = predictor.without_operating_points()
        if settings.precision == "int8":
            agreement = write_int8(temporary, plain, images, settings)
            check_agreement(agreement, path, settings)
        else:
            agreement = _verified(temporary, path, plain, images, settings)
    return agreement


def _verified(temporary: Path, path: Path, predictor: Predictor, images: Sequence[ImageLike], settings: ExportSettings) -> Agreement:
    """Return the differences between a detector and the file that was written for it, after all checks."""
    runtime = OnnxRuntime.open(temporary)
    agreement = compare(predictor, runtime, images)
    check_agreement(agreement, path, settings)
    if settings.for_opencv:
        check_in_opencv(temporary, predictor, images)
    if settings.verify is not None:
        settings.verify(runtime)
    return agreement


def _write(predictor: Predictor, graph: Graph, settings: ExportSettings, path: Path) -> None:
    """Write the file of a graph, with its metadata."""
    onnx = _onnx()
    trace(predictor, graph, settings, path)
    model = onnx.load(str(path))
    graph.complete(model, settings.opset)
    add_metadata(model, metadata_of(predictor, graph, settings).to_json())
    _name_dimensions(model, graph, settings.batch_size)
    if settings.precision == "fp16":
        to_half(model)
    path.write_bytes(model.SerializeToString())


def check_agreement(agreement: Agreement, path: Path, settings: ExportSettings) -> None:
    """Check that a file agrees with its detector, unless the user accepts any differences, or labels verify a file in int8.

    Raises:
        ValueError: If it does not.
    """
    if settings.accept:
        return
    if agreement.speedup is not None and agreement.speedup < 1:
        raise ValueError(
            f"{path}: not written: on this processor ({processor()}), int8 takes {1 / agreement.speedup:.2f} times as long as fp32; "
            "export in fp32, or write the file for another processor with --accept"
        )
    if not agreement.holds and (settings.precision != "int8" or settings.verify is None):
        raise ValueError(
            f"{path}: not written: its outputs differ from those of the detector: {agreement}; --accept writes it all the same"
        )


def _graph(predictor: Predictor, settings: ExportSettings) -> Graph:
    """Return the part of a detector that is exported, or raise if it cannot be."""
    size = predictor.preprocess.input_size
    if settings.for_opencv and size is not None:
        graph: Graph = OpenCvLocations(predictor.detector, size)
    else:
        graph = graph_of(predictor.detector, settings.outputs)
    if not predictor.reference or predictor.device.type != "cpu":
        raise ValueError('an optimized predictor cannot be exported; load the detector with device="cpu" and reference=True')
    return graph


def _proposals_config(predictor: Predictor) -> str | None:
    """Return the source of the proposals as JSON, without this machine's cache, or raise if nobody could compute them from the file."""
    if not predictor.runtime.info.takes_proposals:
        return None
    config = getattr(predictor.proposer, "config", None)
    if not isinstance(config, ProposalsConfig):
        raise ValueError(
            "the detector takes proposals, whose source the file records: expected a predictor with a proposer that was built from a "
            f"ProposalsConfig, got {type(predictor.proposer).__name__}; load the detector with detkit.load"
        )
    unset = ProposalsConfig()
    return config.replace(cache=unset.cache, cache_megabytes=unset.cache_megabytes).to_json()


def metadata_of(predictor: Predictor, graph: Graph, settings: ExportSettings) -> ExportMetadata:
    """Return the metadata of the file of a graph."""
    detector, points = graph.detector, settings.operating_points
    red, green, blue = detector.mean.flatten().tolist()
    return ExportMetadata(
        format=FORMAT,
        detkit=__version__,
        detector=type(detector).__name__,
        class_names=predictor.class_names,
        outputs=graph.kind,
        preprocess=predictor.preprocess.to_json(),
        postprocess=graph.rules.to_json(),
        mean=(red, green, blue),
        pad_multiple=detector.pad_multiple,
        input_size=detector.input_size,
        levels=graph.levels,
        mask_side=graph.mask_side,
        background=graph.kind != "pixels" or detector.config.background,
        batch_size=settings.batch_size,
        precision=settings.precision,
        min_score=settings.min_score,
        proposals=_proposals_config(predictor),
        operating_points=None if points is None else json.dumps(points.to_dict()),
        license=settings.license,
        training=settings.training,
    )


def trace(predictor: Predictor, graph: Graph, settings: ExportSettings, path: Path, **options: Any) -> None:
    """Write a graph, traced with images of the detector's size.

    Args:
        predictor: The detector.
        graph: What is written of it.
        settings: Batch size and operator set.
        path: The file, without metadata.
        options: Further arguments of ``torch.onnx.export``.
    """
    pixels = torch.zeros((3, *_TRACE_SIZE), dtype=torch.uint8)
    image = preprocess(pixels, predictor.preprocess).image
    images = predictor.detector.prepare([image] * (settings.batch_size or _TRACE_IMAGES)).images
    options |= {"dynamic_axes": graph.dynamic_axes(settings.batch_size), "opset_version": settings.opset}
    write_traced(graph, graph.example(images), path, (graph.inputs, graph.outputs), **options)


def write_traced(
    module: nn.Module, example: tuple[Tensor, ...], path: Path, names: tuple[Sequence[str], Sequence[str]], **options: Any
) -> None:
    """Write a module with torch's tracing exporter, which takes seconds where the dynamo exporter takes minutes.

    Args:
        module: What is written.
        example: Arguments of its ``forward``.
        path: The file.
        names: Names of the inputs and of the outputs.
        options: Further arguments of ``torch.onnx.export``.
    """
    import_module("torchvision.ops")  # its first import calls an operator, which must not become part of the graph
    inputs, outputs = (list(part) for part in names)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # about values that become constants; the comparison of outputs verifies them
        torch.onnx.export(module, example, str(path), input_names=inputs, output_names=outputs, dynamo=False, **options)


def add_metadata(model: Any, text: str) -> None:
    """Add the entry of detkit to the metadata of an ``onnx.ModelProto``."""
    model.metadata_props.add(key=METADATA_KEY, value=text)


def _name_dimensions(model: Any, graph: Graph, batch_size: int | None) -> None:
    """State the known dimensions of the outputs; the tracer names them after its nodes."""
    known = graph.known_dimensions()
    for output in model.graph.output:
        dimensions = output.type.tensor_type.shape.dim
        if batch_size is not None and output.name != "levels":
            dimensions[0].dim_value = batch_size
        for position, length in known.get(output.name, {}).items():
            dimensions[position].dim_value = length


def _onnx() -> Any:
    try:
        import onnx
    except ImportError:
        raise ImportError("onnx, which writes the file, is not installed: pip install 'detkit-vision[export]'") from None
    return onnx
