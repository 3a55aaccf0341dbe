"""The detector of a command: in onnxruntime, without importing PyTorch, where that is possible, and otherwise in PyTorch."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.cli.detect.options import DetectorOptions
from detkit.cli.flags import add_flags, add_min_score, class_names, min_score
from detkit.cli.pyramid import add_pyramid_arguments, check_pyramid_options, with_pyramid, with_trained_tiles
from detkit.cli.resolve import model_line, resolve_model
from detkit.weights import better_models_hint, embedded_onnx_path, embedded_path

if TYPE_CHECKING:
    from detkit.inference import ArrayPredictor, ImagePyramid, Predictor
    from detkit.inference.min_scores import MinScore

    FileDetector = Predictor | ImagePyramid[Any] | ArrayPredictor


def add_detector_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of :class:`DetectorOptions`."""
    add_flags(parser, "--model", "--latest", "--weights-file")
    add_min_score(parser, "lowest score reported")
    add_flags(parser, "--classes", help="report only these classes; with a clip or clip_rcnn model: the phrases to look for")
    add_flags(parser, "--templates")
    add_flags(parser, "--svd")
    add_flags(parser, "--device", help="auto (a GPU if there is one; the CPU for embedded and exported files), cpu, cuda, cuda:1 or mps")
    native = "auto is bf16 where the hardware multiplies it natively, and fp32 for embedded and exported files"
    add_flags(parser, "--precision", help=f"number format; {native} (default: %(default)s)")
    add_flags(parser, "--runtime", "--threads", "--proposals-cache")
    add_pyramid_arguments(parser)


def check_detector_options(options: DetectorOptions) -> None:
    """Refuse flags that do not go together, before any work.

    Raises:
        ValueError: If a flag needs another one.
    """
    check_pyramid_options(options)
    if options.weights_file and options.model is None:
        raise ValueError("--weights-file is the file of a published model; give the model's name with --model, see `detkit models list`")


def load_predictor(
    model: str | Path, options: DetectorOptions, classes: Sequence[str] | None, lowest: MinScore
) -> Predictor | ArrayPredictor:
    """Load what :func:`detkit.cli.resolve.resolve_model` returned.

    Args:
        model: The detector.
        options: Options of the command.
        classes: Classes to report; None: all.
        lowest: Lowest score to report; a pyramid filters after merging, which changes scores.
    """
    own_lowest = 0.0 if options.wants_pyramid else lowest
    given: dict[str, Any] = {"min_score": own_lowest, "classes": classes, "max_detections": options.max_detections}
    file = onnx_file(model, options)
    if file is not None:
        from detkit.inference.light import NeedsPyTorchError, load_exported

        with suppress(NeedsPyTorchError):
            return load_exported(file, options.device, options.precision, threads=options.threads, **given)
    from detkit.inference import load

    given |= {"svd": options.svd}
    named: dict[str, Any] = {
        "runtime": options.runtime,
        "threads": options.threads,
        "file": options.weights_file,
        "proposals_cache": options.proposals_cache,
        "templates": options.templates,
    }
    return load(model, options.device, options.precision, **given, **{name: value for name, value in named.items() if value})


def onnx_file(model: str | Path, options: DetectorOptions) -> Path | None:
    """Return the file that runs a detector without PyTorch; None if what is asked for needs PyTorch.

    The detector inside the package runs in onnxruntime unless a GPU or another precision is named: only PyTorch can find GPUs, and its
    import alone takes as long as the detection on dozens of images.
    """
    from detkit.inference.runtime import is_exported

    if options.svd or options.weights_file or options.proposals_cache or options.runtime or options.templates:
        return None
    if is_exported(model):
        return Path(model)
    on_cpu = options.device in ("auto", "cpu") and options.precision in ("auto", "fp32")
    return embedded_onnx_path() if on_cpu and model == embedded_path() else None


def load_detector(options: DetectorOptions) -> tuple[FileDetector, dict[str, object]]:
    """Load the detector and print lines about it; return it, and the keys of a JSON file that describe it."""
    model, reason = resolve_model(options.model, options.latest)
    options = with_trained_tiles(options, model)
    classes = given_classes("--classes", options.classes, model)
    lowest, score_line = min_score(options.min_score, model)
    predictor = load_predictor(model, options, classes, lowest)
    print(model_line(model, reason, predictor.class_names, predictor.device, predictor.precision))
    for line in (score_line, better_models_hint() if model == embedded_path() else ""):
        if line:
            print(line)
    detector = with_pyramid(predictor, options, lowest)
    return detector, {
        "model": str(model),
        **_scores(detector, lowest),
        **({"pyramid": str(detector)} if options.wants_pyramid else {}),
    }


def given_classes(flag: str, words: Sequence[str] | None, model: str | Path) -> list[str] | None:
    """Return the classes that a flag names, or None without it; the flag takes every word that follows it.

    Raises:
        ValueError: If the words hold no class name, or one of them is an image file, a camera or an address.
    """
    from detkit.data.live.address import hide_credentials, is_address, is_live_word
    from detkit.data.media.extensions import VIDEO_EXTENSIONS
    from detkit.data.media.images import IMAGE_EXTENSIONS
    from detkit.inference.sources import known_classes

    known = known_classes(model) if words else ()
    names = class_names(words, known, flag)
    for name in names or ():
        is_file = name.lower().endswith((*IMAGE_EXTENSIONS, *VIDEO_EXTENSIONS)) and Path(name).is_file()
        if name not in known and (is_file or is_live_word(name) or is_address(name)):
            kind = "file" if is_file else "address" if is_address(name) else "camera"
            raise ValueError(f"{flag}: expected class names, got the {kind} {hide_credentials(name)}; name the images before {flag}")
    return names


def _scores(detector: FileDetector, lowest: MinScore) -> dict[str, object]:
    """Return the keys of the JSON file about the lowest scores that are reported: of all, and with operating points of each class."""
    if isinstance(lowest, float):
        return {"min_score": lowest}
    scores = {name: lowest.score_of(name) for name in detector.reported}
    return {"min_score": min(scores.values(), default=lowest.overall.score), "min_scores": scores, "target": lowest.target}
