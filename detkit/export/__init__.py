"""Export of detectors to files for other runtimes."""

from detkit.export.agreement import Agreement, compare
from detkit.export.onnx import export_onnx

__all__ = ["Agreement", "compare", "export_onnx"]
