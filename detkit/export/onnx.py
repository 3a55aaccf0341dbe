"""A detector as an ONNX file."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from detkit.checkpoint.atomic import atomic_write
from detkit.export.agreement import BOX, SCORE, Agreement, compare
from detkit.export.graph import Graph
from detkit.inference.exported import ENDING, INPUT, KEY, OUTPUTS, description, is_exported
from detkit.inference.image_like import ImageLike
from detkit.inference.predictor import Predictor
from detkit.models.one_stage import OneStage
from detkit.preprocess import preprocess

OPSET = 17
"""The version of ONNX's operators, of 2022; runtimes of today and of some years back have them."""
_TRACED = (480, 640)


def export_onnx(
    predictor: Predictor, path: str | Path, images: Sequence[ImageLike], batch_size: int = 1, *, min_score: float | None = None
) -> Agreement:
    """Write a one-stage detector to a file that onnxruntime and others run, and compare the two.

    The file's input and outputs are those of :class:`detkit.export.graph.Graph`. Height and width stay free, but for detectors that
    take one size; how many images it takes at a time is fixed. :func:`detkit.inference.loading` reads it.

    Args:
        predictor: Of the detector, in its reference mode on the CPU.
        path: Ends in ``.onnx``; a file there is replaced once the new one is whole and agrees.
        images: What both are compared on.
        batch_size: Images that the file takes at a time.
        min_score: From which score on its detections are worth showing, which the file says; see :func:`detkit.inference.suggested_min_score`.

    Raises:
        ValueError: the detector has more than one stage, the predictor is not in its reference mode, or the file says something else
            than the detector.
        ImportError: onnx or onnxruntime is not here.
    """
    path = Path(path)
    if not is_exported(path):
        raise ValueError(f"{path}: expected a name that ends in {ENDING}")
    detector = _traceable(predictor)
    onnx = _onnx()
    told = description(detector, predictor.preprocess, predictor.class_names, batch_size, min_score)
    with atomic_write(path) as temporary:
        _trace(predictor, detector, batch_size, temporary)
        model = onnx.load(str(temporary))
        entry = model.metadata_props.add()
        entry.key, entry.value = KEY, json.dumps(told)
        temporary.write_bytes(model.SerializeToString())
        agreement = compare(predictor, str(temporary), images)
        if not agreement.holds:
            raise ValueError(
                f"{path}: not written: the file's scores differ from the detector's by up to {agreement.score:.2g} (at most {SCORE:g} "
                f"expected), its boxes by up to {agreement.box:.2g} pixels (at most {BOX:g})"
            )
    return agreement


def _traceable(predictor: Predictor) -> OneStage:
    """The detector of a predictor, if a graph can be made of it."""
    detector = predictor.detector
    if not isinstance(detector, OneStage):
        raise ValueError(
            f"{type(detector).__name__} cannot be exported: a file holds one network, from the image to scored boxes; "
            "take a one-stage detector: retinanet, fcos, ssd, yolov1, yolox or detr"
        )
    if not predictor.reference or predictor.device.type != "cpu":
        raise ValueError('a predictor for speed cannot be traced; load the detector with device="cpu" and reference=True')
    return detector


def _trace(predictor: Predictor, detector: OneStage, batch_size: int, path: Path) -> None:
    """Write the graph, by torch's tracing exporter: its other one takes minutes where this takes seconds."""
    pixels = torch.zeros((3, *_TRACED), dtype=torch.uint8)
    image = preprocess(pixels, predictor.preprocess).image
    images = detector.prepare([image] * batch_size).images
    free = {INPUT: {2: "height", 3: "width"}, "scores": {1: "places"}, "boxes": {1: "places"}}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # on numbers that are constant in the graph: whether they may be is what is compared
        torch.onnx.export(
            Graph(detector),
            (images,),
            str(path),
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_axes={} if detector.input_size is not None else free,
            opset_version=OPSET,
            dynamo=False,
        )


def _onnx() -> Any:
    try:
        import onnx
    except ImportError:
        raise ImportError("onnx writes such files, and it is not here: pip install 'detkit[export]'") from None
    return onnx
