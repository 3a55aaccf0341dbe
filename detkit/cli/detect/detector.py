"""The detector of ``detkit detect``: in onnxruntime, without importing PyTorch, where that is possible, and otherwise in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.cli.detect.options import DetectOptions
from detkit.weights import embedded_onnx_path, embedded_path

if TYPE_CHECKING:
    from detkit.inference import ArrayPredictor, ImagePyramid, Predictor
    from detkit.inference.min_scores import MinScore

    FileDetector = Predictor | ImagePyramid | ArrayPredictor


def load_predictor(
    model: str | Path, options: DetectOptions, classes: Sequence[str] | None, lowest: MinScore
) -> Predictor | ArrayPredictor:
    """Load what :func:`detkit.cli.resolve.resolve_model` returned.

    Args:
        model: The detector.
        options: Options of the command.
        classes: Classes to report; None: all.
        lowest: Lowest score to report; a pyramid filters after merging, which changes scores.
    """
    given: dict[str, Any] = {"min_score": lowest, "classes": classes, "max_detections": options.max_detections}
    file = onnx_file(model, options)
    if file is not None:
        from detkit.inference.light import NeedsPyTorchError, load_exported

        with suppress(NeedsPyTorchError):
            return load_exported(file, options.device, options.precision, threads=options.threads, **given)
    from detkit.inference import load

    given |= {"svd": options.svd} | ({"min_score": 0.0} if options.wants_pyramid else {})
    named: dict[str, Any] = {
        "runtime": options.runtime,
        "threads": options.threads,
        "file": options.weights_file,
        "proposals_cache": options.proposals_cache,
    }
    return load(model, options.device, options.precision, **given, **{name: value for name, value in named.items() if value})


def onnx_file(model: str | Path, options: DetectOptions) -> Path | None:
    """Return the file that runs a detector without PyTorch; None if what is asked for needs PyTorch.

    The detector inside the package runs in onnxruntime unless a GPU or another precision is named: only PyTorch can find GPUs, and its
    import alone takes as long as the detection on dozens of images.
    """
    from detkit.inference.runtime import is_exported

    if options.wants_pyramid or options.svd or options.weights_file or options.proposals_cache or options.runtime:
        return None
    if is_exported(model):
        return Path(model)
    on_cpu = options.device in ("auto", "cpu") and options.precision in ("auto", "fp32")
    return embedded_onnx_path() if on_cpu and model == embedded_path() else None
