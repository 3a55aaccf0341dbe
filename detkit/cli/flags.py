"""Flags that several commands share: one name, one meaning, declared once."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.cli.values import (
    core_minutes,
    fraction,
    image_size,
    overlap,
    positive,
    scale,
    seconds,
    size_range,
    svd_ranks,
    tile_side,
    unit_interval,
)
from detkit.data.writers import WRITERS

if TYPE_CHECKING:
    from detkit.checkpoint.operating_points import OperatingPoints
    from detkit.inference.min_scores import MinScore

DEFAULT_MIN_SCORE = 0.5
"""Lowest score reported where neither the user nor the checkpoint sets one."""


MODEL_HELP = "a published name, a run's folder, a checkpoint or an exported file"

FLAGS: dict[str, dict[str, Any]] = {
    "--model": {"metavar": "MODEL", "help": f"the detector: {MODEL_HELP} (default: embedded, the one inside the package)"},
    "--latest": {"action": "store_true", "help": "use the best checkpoint of your newest run under runs/"},
    "--data": {
        "metavar": "PATH",
        "help": "labeled data: a COCO JSON file, a Pascal VOC folder, a YOLO data.yaml, or a folder of any of them",
    },
    "--images": {"metavar": "DIR", "help": "folder of the images of --data, if it is not where the labels say"},
    "--split": {"metavar": "NAME", "help": "part of the data, such as train, val or test"},
    "--val-fraction": {"type": fraction, "metavar": "F", "help": "fraction of the training images kept for validation, such as 0.1"},
    "--classes": {"nargs": "+", "action": "extend", "metavar": "NAME", "help": "evaluate only these classes"},
    "--templates": {
        "nargs": "+",
        "action": "extend",
        "metavar": "TEXT",
        "help": "with a clip or clip_rcnn model: prompts into which the classes are inserted in place of {}, such as "
        "'a drawing of a {}.'; the embeddings of several are averaged (default: the model's own)",
    },
    "--rename": {"nargs": "+", "action": "extend", "metavar": "A=B", "help": "treat class A of the data as class B of the detector"},
    "--annotations": {"metavar": "FILE", "help": "a COCO annotation file"},
    "--weights-file": {"metavar": "FILE", "help": "file with the weights of a --model that is a published name"},
    "--svd": {
        "type": svd_ranks,
        "metavar": "R6,R7",
        "help": "truncate the two fully connected layers of a region head to these ranks, such as 1024,256",
    },
    "--max-latency": {
        "type": seconds,
        "metavar": "S",
        "help": "drop frames of a camera or stream that wait longer than S seconds (default: %(default)s)",
    },
    "--seconds": {"type": seconds, "metavar": "S", "help": "end cameras and streams after S seconds (default: when they end)"},
    "--every": {"type": positive, "metavar": "N", "help": "process every N-th frame of a video (default: %(default)s)"},
    "--min-score": {"type": unit_interval, "metavar": "S", "help": "lowest score reported"},
    "--max-detections": {"type": positive, "metavar": "N", "help": "maximum number of detections per image (default: the model's own)"},
    "--device": {"metavar": "NAME", "help": "auto (a GPU if there is one), cpu, cuda, cuda:1 or mps (default: auto)"},
    "--precision": {
        "choices": ("auto", "fp32", "bf16", "fp16"),
        "help": "number format; auto is bf16 where the hardware multiplies it natively (default: %(default)s)",
    },
    "--size": {"type": image_size, "metavar": "HxW", "help": "height and width of the images, such as 480x640"},
    "--runtime": {
        "choices": ("torch", "onnx", "openvino", "auto"),
        "help": "run the detector in PyTorch, onnxruntime or OpenVINO; a checkpoint is exported at the first use and kept in a cache; "
        "auto measures what is installed and takes the fastest on this CPU (default: torch, and for an exported file its own runtime)",
    },
    "--threads": {"type": positive, "metavar": "N", "help": "number of threads (default: chosen by PyTorch, or $OMP_NUM_THREADS)"},
    "--proposals-cache": {"metavar": "DIR", "help": "folder that caches the proposals of a detector that takes them (default: no cache)"},
    "--budget": {"type": core_minutes, "metavar": "M", "help": "core-minutes of a training, validation included"},
    "--resume": {"nargs": "?", "const": "", "metavar": "DIR", "help": "continue what is in this folder (default: the newest)"},
    "--seed": {"type": int, "metavar": "N", "help": "seed of the random numbers (default: %(default)s)"},
    "--output": {"metavar": "PATH", "help": "where to write the result"},
    "--json": {"metavar": "FILE", "help": "write the results as JSON"},
    "--csv": {"metavar": "FILE", "help": "write the results as CSV"},
    "--no-draw": {"action": "store_true", "help": "draw nothing"},
    "--plot": {"metavar": "FILE", "help": "write a plot as PNG"},
    "--report": {"metavar": "FILE", "help": "write the HTML report to this file"},
    "--no-report": {
        "action": "store_true",
        "help": "write no HTML report; the environment variable DETKIT_NO_REPORT=1 does the same",
    },
    "--folder": {"metavar": "DIR", "help": "folder of published weights: searched first, and the target of downloads"},
    "--yes": {"action": "store_true", "help": "answer yes to every question"},
    "--parts": {"nargs": "+", "metavar": "PART", "help": "parts of the data set to download (default: all)"},
    "--keep": {"action": "store_true", "help": "keep the archives after unpacking"},
    "--pyramid": {
        "nargs": "+",
        "type": scale,
        "metavar": "S",
        "help": "scales of an image pyramid: multiples of the detector's own input size, up to 16, such as 0.5 1 2; "
        "or short sides in pixels, from 32, such as 400 800 1600",
    },
    "--tiles": {
        "nargs": "+",
        "type": tile_side,
        "metavar": "SIDE",
        "help": "detect on overlapping tiles of this many pixels, and on the whole image; finds small objects in large images, and TIFF "
        "files of any size are read in parts. About the detector's own input size is best; several sides give tiles of each",
    },
    "--tile-overlap": {
        "type": overlap,
        "metavar": "F",
        "help": "overlap of neighboring tiles, as a fraction of their side (default: %(default)s)",
    },
    "--tiles-only": {"action": "store_true", "help": "with --tiles: leave out the whole image, which finds what is larger than a tile"},
    "--flip": {"action": "store_true", "help": "also detect on the mirrored image, at every scale and tile"},
    "--sizes": {
        "nargs": "+",
        "type": size_range,
        "metavar": "FROM:BELOW",
        "help": "for each scale, then each side of tiles, keep only boxes in this size range: the square root of the area, in pixels of "
        "the image; such as 64: 24:128 :48",
    },
    "--merge": {
        "choices": ("hard", "linear", "gaussian", "fusion"),
        "help": "how to merge overlapping boxes: hard NMS (default), linear or gaussian Soft-NMS, or weighted boxes fusion",
    },
    "--format": {"choices": tuple(WRITERS), "help": "format of the labels (default: %(default)s)"},
    "--copy": {"choices": ("link", "copy", "none"), "help": "how images get into the new folder (default: %(default)s)"},
    "--strict": {"action": "store_true", "help": "refuse to write labels that the format cannot hold completely"},
    "--voc-integers": {"action": "store_true", "help": "round the boxes of VOC labels to whole pixels"},
    "--polygons": {
        "action": "store_true",
        "help": "write outlines instead of boxes where the format has only one of them for an object",
    },
    "--labels": {"metavar": "DIR", "help": "write a new data set with labels to correct"},
    "--top": {"type": positive, "metavar": "N", "help": "how many of the first ones (default: %(default)s)"},
    "--max-pixels": {"type": positive, "metavar": "N", "help": "largest image that is decoded, in pixels (default: 178956970)"},
    "--debug": {"action": "store_true", "help": "show the traceback of an error"},
}
"""Every flag that more than one command has, with its arguments for argparse."""


def add_flags(parser: argparse._ActionsContainer, *names: str, **changes: Any) -> None:
    """Add shared flags to a parser.

    Args:
        parser: The parser of a command, or a group of its flags.
        names: Keys of :data:`FLAGS`.
        changes: The command's own ``help``; name, type, choices and metavar stay the same in all commands.
    """
    for name in names:
        parser.add_argument(name, **{**FLAGS[name], **changes})


def add_min_score(parser: argparse._ActionsContainer, help_text: str) -> None:
    """Add ``--min-score``, which :func:`min_score` evaluates."""
    default = f"the model's operating points, with a score for each class, or its suggestion, else {DEFAULT_MIN_SCORE}"
    add_flags(parser, "--min-score", help=f"{help_text} (default: {default})")


def min_score(given: float | None, model: str | Path) -> tuple[MinScore, str]:
    """Return the lowest score to report, or those of each class, and lines that explain them, empty if the user gave the score."""
    from detkit.inference.sources import known_classes, stored_scores

    if given is not None:
        return given, ""
    stored = stored_scores(model)
    if stored is None:
        return DEFAULT_MIN_SCORE, ""
    if isinstance(stored, float):
        return stored, f"minimum score: {stored:g}, as this model suggests; change it with --min-score"
    return stored, _points_text(stored, known_classes(model))


def _points_text(points: OperatingPoints, names: Sequence[str | None]) -> str:
    """Return lines about operating points that are used, with the classes that have no score of their own."""
    from detkit.cli.report import count, listed
    from detkit.printable import printable

    found = f"{points.rule}, on {count(points.images, 'image')} of {printable(points.data)}"
    if not points.classes:
        return f"minimum score: {points.overall.score:.3g} ({found}); change it with --min-score"
    scores = [point.score for point in points.classes.values()]
    line = f"minimum scores by class: {min(scores):.3g} to {max(scores):.3g} ({found}); change them with --min-score"
    without = points.without_own(names)
    if not without:
        return line
    have = f"{count(len(without), 'class has', 'classes have')} no score of {'its' if len(without) == 1 else 'their'} own"
    return f"{line}\n{have} and use{'s' * (len(without) == 1)} that of all classes, {points.overall.score:.3g}: {listed(without, 10)}"


def class_names(words: Sequence[str] | None, known: Collection[str | None], flag: str = "--classes") -> list[str] | None:
    """Return the names given by ``--classes``, or by another flag, as separate words or separated by commas.

    Args:
        words: The words as typed; None if the flag was not given.
        known: Existing class names; a word that is one of them is kept whole, commas included.
        flag: The flag, for the error.

    Returns:
        At least one name, or None if the flag was not given.

    Raises:
        ValueError: If the words hold no name.
    """
    if words is None:
        return None
    parts = [part for word in words for part in ([word] if word in known else map(str.strip, word.split(",")))]
    names = [part for part in parts if part]
    if not names:
        raise ValueError(f"{flag}: expected class names, such as cat dog; got {' '.join(words)!r}")
    return names
