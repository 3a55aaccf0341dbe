"""Detectors as files that other programs run."""

from detkit.export.agreement import Agreement, compare
from detkit.export.onnx import export_onnx

__all__ = ["Agreement", "compare", "export_onnx"]
