"""Evaluation from two JSON files: ground truth and results."""

from __future__ import annotations

import contextlib
import gc
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from detkit.evaluation.coco import coco_numbers
from detkit.evaluation.compare import Difference, differences
from detkit.evaluation.details import Details, coco_details
from detkit.evaluation.engines import Curves, EvaluatorName, check_evaluator, curves, hotcoco_curves
from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.numbers import CocoNumbers, VocNumbers
from detkit.evaluation.results import check_results
from detkit.evaluation.voc import Rule, voc_numbers


def evaluate_coco_files(annotations: str | Path, results: str | Path, evaluator: EvaluatorName = "hotcoco") -> CocoNumbers:
    """The COCO numbers of a results file against a ground-truth file; see :func:`~detkit.evaluation.coco.evaluate_coco`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file is not of its form; the message names the file, the place, what was expected and what was got.
    """
    check_evaluator(evaluator)
    truth = read_ground_truth(annotations)
    if evaluator == "hotcoco":
        return coco_numbers(truth, _from_results_file(truth, Path(results)), evaluator)
    return coco_numbers(truth, curves(truth, read_results(results, truth), evaluator), evaluator)


def evaluate_voc_files(
    annotations: str | Path, results: str | Path, rule: Rule = "all-point", overlaps: Sequence[float] = (0.5,)
) -> VocNumbers:
    """Pascal VOC's average precision of a results file; see :func:`~detkit.evaluation.voc.evaluate_voc`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file is not of its form, or a threshold or the rule is none.
    """
    truth = read_ground_truth(annotations)
    return voc_numbers(truth, read_results(results, truth), rule, overlaps)


def details_of_files(annotations: str | Path, results: str | Path, worst: int = 20) -> Details:
    """Where the detector goes wrong whose results these are; see :func:`~detkit.evaluation.details.coco_details`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file is not of its form.
    """
    truth = read_ground_truth(annotations)
    return coco_details(truth, read_results(results, truth), worst)


def differences_of_files(annotations: str | Path, results: str | Path, other: str | Path) -> tuple[Difference, ...]:
    """How two results files differ in their COCO numbers, and how sure that is; see :func:`~detkit.evaluation.compare.differences`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file is not of its form.
    """
    truth = read_ground_truth(annotations)
    return differences(truth, read_results(results, truth), read_results(other, truth))


def read_ground_truth(path: str | Path) -> GroundTruth:
    """Read and check a COCO annotation file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not COCO ground truth.
    """
    return GroundTruth.of(read_json(path, "annotations"), str(path))


def read_results(path: str | Path, truth: GroundTruth) -> Any:
    """Read a COCO results file, and check it against its ground truth.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it does not hold results, or not of this ground truth.
    """
    return check_results(read_json(path, "results"), truth, str(path))


def read_json(path: str | Path, what: str) -> Any:
    """What a JSON file holds; ``what`` names it in messages.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is empty or not JSON.
    """
    content = _content(Path(path), what)
    try:
        with _no_collector():
            return json.loads(content)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{what} {path}: expected JSON, got {error}; is the file complete?") from None


def _content(path: Path, what: str) -> bytes:
    if not path.is_file():
        raise FileNotFoundError(f"{what} {path}: {'it is a folder, expected a JSON file' if path.is_dir() else 'no such file'}")
    content = path.read_bytes()
    if not content.strip():
        raise ValueError(f"{what} {path}: the file is empty, expected JSON")
    return content


def _from_results_file(truth: GroundTruth, path: Path) -> Curves:
    """Let hotcoco read the file itself, which is several times faster; at the first doubt about it, read and check row by row."""
    import hotcoco

    content = _content(path, "results")
    ground_truth = hotcoco.COCO(truth.to_dict())
    detections = _plain_detections(ground_truth, path, content)
    if detections is None:
        detections = ground_truth.load_res(read_results(path, truth))
    return hotcoco_curves(ground_truth, detections)


def _plain_detections(ground_truth: Any, path: Path, content: bytes) -> Any | None:
    """The detections if every row is whole and about this ground truth, else None.

    Hotcoco refuses a key that occurs twice in a row, a box that is not four numbers, and NaN; it warns of ids that the ground
    truth does not have. It lets rows without a score or a box pass (how often the keys occur shows them), null, and sides below 0.
    """
    if b"null" in content or not content.lstrip().startswith(b"["):
        return None
    try:
        with _no_error_stream():
            detections = ground_truth.load_res(str(path))
    except Exception:
        return None  # whatever it was, reading row by row says it in our words
    rows = detections.stats()["annotation_count"]
    whole = all(content.count(key) == rows for key in (b'"bbox"', b'"score"'))
    doubtful = detections.load_warnings or detections.get_ann_ids(area_rng=[float("-inf"), -1e-300])
    return detections if whole and not doubtful else None


@contextlib.contextmanager
def _no_collector() -> Iterator[None]:
    """Hundreds of thousands of small rows make the garbage collector walk them again and again, and none of them is garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextlib.contextmanager
def _no_error_stream() -> Iterator[None]:
    """Keep off the screen what compiled code prints to the error stream; what it warns of is told by an error of ours."""
    try:
        kept = os.dup(2)
    except OSError:  # a program without an error stream
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
