"""Names of the runtimes that a user can choose, and what each can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detkit.registry import Registry, did_you_mean

TORCH, AUTO = "torch", "auto"
ENDINGS = {"onnx": ".onnx", "openvino": ".xml"}
"""Ending of the files that a runtime besides PyTorch runs; its class has it in :data:`detkit.inference.runtime.RUNTIMES`."""
RUNTIME_NAMES = (TORCH, *ENDINGS, AUTO)
PACKAGES = {"onnx": ("onnxruntime", "onnx"), "openvino": ("openvino", "onnx")}
"""Packages that must be installed to run a detector, and to write its file."""
WRITERS = Registry(
    "runtime",
    "detkit.runtime_writers",
    {"onnx": "detkit.export.files.cached:write_onnx", "openvino": "detkit.export.files.cached:write_openvino"},
)
"""Runtime to the function that writes the file that it runs: from a predictor in reference mode on the CPU, to a path."""


@dataclass(frozen=True)
class Wanted:
    """A detector and how it is to run, as given to :func:`detkit.load`.

    Attributes:
        source: A checkpoint, a run, an exported file or a published name.
        file: The published file of a name.
        device: Name of the device.
        precision: Name of the precision.
        options: The other options.
    """

    source: str | Path
    file: str | Path | None
    device: str
    precision: str
    options: Mapping[str, Any]

    @property
    def max_detections(self) -> int | None:
        """The limit on the detections of an image that was given."""
        limit: int | None = self.options.get("max_detections")
        return limit


_NETWORK_OPTIONS = {"reference": "the network as published", "svd": "the network's layers"}
_PRECISIONS = {"onnx": ("auto", "fp32"), "openvino": ("auto", "fp32", "bf16")}


def check_runtime(name: str) -> None:
    """Check the name of a runtime.

    Raises:
        ValueError: If there is no such runtime.
    """
    if name not in RUNTIME_NAMES:
        raise ValueError(f"runtime {name!r}: {did_you_mean(name, list(RUNTIME_NAMES))}")


def check_supported(runtime: str, wanted: Wanted) -> None:
    """Check that a runtime of exported files, a key of :data:`ENDINGS`, can do what is asked for.

    Raises:
        ValueError: If it cannot.
    """
    other = f"use runtime={TORCH!r}"
    for name, needed in _NETWORK_OPTIONS.items():
        if wanted.options.get(name):
            raise ValueError(f"{name}: it needs {needed}, and runtime={runtime!r} runs an exported file; {other}")
    if wanted.device not in ("auto", "cpu"):
        raise ValueError(f"device {wanted.device!r}: runtime={runtime!r} runs on the CPU; {other}")
    if wanted.precision not in _PRECISIONS[runtime]:
        expected = " or ".join(name for name in _PRECISIONS[runtime] if name != "auto")
        raise ValueError(f"precision {wanted.precision!r}: runtime={runtime!r} runs in {expected}; {other}")
