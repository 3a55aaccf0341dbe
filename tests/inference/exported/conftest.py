from __future__ import annotations

from pathlib import Path

import pytest
from noisy import noise, noisy

from detkit.inference import Predictor


@pytest.fixture(scope="session")
def original() -> Predictor:
    return noisy()


@pytest.fixture(scope="session")
def onnx_file(original: Predictor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The detector as an ONNX file."""
    pytest.importorskip("onnx")
    from detkit.export import export_onnx

    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_onnx(original, path, noise((60, 80)))
    return path


@pytest.fixture(scope="session")
def xml_file(onnx_file: Path) -> Path:
    """The detector as OpenVINO's files."""
    pytest.importorskip("openvino")
    from detkit.export.files.openvino import convert

    convert(onnx_file, onnx_file.with_suffix(".xml"))
    return onnx_file.with_suffix(".xml")
