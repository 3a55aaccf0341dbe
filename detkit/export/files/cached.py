"""Exports for runtimes that a user chose, compared with their detector on a photograph, upright and turned."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from detkit.arrays import ImageArray
from detkit.data.media.images import read_image
from detkit.data.media.sample import sample_photograph
from detkit.export.files.openvino import convert_and_compare, export_openvino
from detkit.export.onnx import export_onnx
from detkit.export.settings import ExportSettings
from detkit.inference.predictor import Predictor


def write_onnx(predictor: Predictor, path: Path) -> None:
    """Write an ONNX file for any number of images; errors as in :func:`detkit.export.onnx.export_onnx`."""
    export_onnx(predictor, path, images(), ExportSettings())


def write_openvino(predictor: Predictor, path: Path) -> None:
    """Write OpenVINO's files, from the ONNX file next to them if there is one; errors as in :func:`export_openvino`."""
    source = path.with_suffix(".onnx")
    if source.is_file():
        convert_and_compare(predictor, source, path, images(), ExportSettings())
    else:
        export_openvino(predictor, path, images(), ExportSettings())


def images() -> list[ImageArray]:
    """Return two images of different shapes with something to detect."""
    pixels = read_image(sample_photograph())
    return [pixels, np.ascontiguousarray(pixels.transpose(1, 0, 2)[: pixels.shape[1] // 2])]
