"""Evaluation of a results file against a ground-truth file, both JSON."""

from __future__ import annotations

import contextlib
import gc
import os
import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.data.storage.files import local_copy
from detkit.evaluation.coco import coco_numbers, with_segm
from detkit.evaluation.coco_curves import Curves, EvaluatorName, check_evaluator, curves, hotcoco_curves
from detkit.evaluation.ground_truth import GroundTruth, read_annotations
from detkit.evaluation.numbers import CocoNumbers, VocNumbers
from detkit.evaluation.results import check_results
from detkit.evaluation.segm import has_segmentations, mask_rows
from detkit.evaluation.voc import Rule, voc_numbers
from detkit.json_lists import NotStreamableError, parsed_items, read_lists
from detkit.json_text import parse_json

if TYPE_CHECKING:
    from detkit.evaluation.compare import Difference
    from detkit.evaluation.details import Details

_SEGMENTATION = b'"segmentation"'


def evaluate_coco_files(annotations: str | Path, results: str | Path, evaluator: EvaluatorName = "hotcoco") -> CocoNumbers:
    """Compute the COCO metrics of a results file; see :func:`~detkit.evaluation.coco.evaluate_coco`.

    If its rows have a ``segmentation``, the metrics of masks are ``segm`` of those of the boxes. Rows without a ``bbox`` have that around
    their mask.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If a file has the wrong format; the message names the file and the position, and states the expected and actual values.
    """
    check_evaluator(evaluator)
    _check_file(local_copy(annotations), "annotations")
    if _SEGMENTATION in _content(local_copy(results), "results"):
        return _with_masks(annotations, results, evaluator)
    truth = read_ground_truth(annotations)
    if evaluator == "hotcoco":
        try:
            return coco_numbers(truth, _from_results_file(truth, Path(results)), evaluator)
        except UnicodeEncodeError as error:
            raise ValueError(f"{annotations}: a name has half of a character ({error.reason}); correct it, or use pycocotools") from None
        except ValueError as error:
            if str(annotations) in str(error) or str(results) in str(error):
                raise
            raise ValueError(f"{results}: hotcoco cannot read it ({error}); correct it, or use pycocotools") from None
    return coco_numbers(truth, curves(truth, read_results(results, truth), evaluator), evaluator)


def _with_masks(annotations: str | Path, results: str | Path, evaluator: EvaluatorName) -> CocoNumbers:
    truth = read_ground_truth(annotations, masks=True)
    rows = read_results(results, truth)
    numbers = coco_numbers(truth, curves(truth, rows, evaluator), evaluator)
    return with_segm(numbers, truth, partial(mask_rows, rows, name=str(results)), evaluator) if has_segmentations(rows) else numbers


def evaluate_voc_files(
    annotations: str | Path, results: str | Path, rule: Rule = "all-point", iou_thresholds: Sequence[float] = (0.5,)
) -> VocNumbers:
    """Compute the Pascal VOC average precision of a results file; see :func:`~detkit.evaluation.voc.evaluate_voc`.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If a file has the wrong format, or a threshold or the rule is invalid.
    """
    truth = read_ground_truth(annotations)
    return voc_numbers(truth, read_results(results, truth), rule, iou_thresholds)


def details_of_files(annotations: str | Path, results: str | Path, worst: int = 20) -> Details:
    """Analyze the errors in a results file; see :func:`~detkit.evaluation.details.coco_details`.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If a file has the wrong format.
    """
    from detkit.evaluation.details import coco_details

    truth = read_ground_truth(annotations)
    return coco_details(truth, read_results(results, truth), worst)


def differences_of_files(annotations: str | Path, results: str | Path, other: str | Path) -> tuple[Difference, ...]:
    """Compare the COCO metrics of two results files; see :func:`~detkit.evaluation.compare.differences`.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If a file has the wrong format.
    """
    from detkit.evaluation.compare import differences

    truth = read_ground_truth(annotations)
    return differences(truth, read_results(results, truth), read_results(other, truth))


def read_ground_truth(path: str | Path, *, masks: bool = False) -> GroundTruth:
    """Read and check a COCO annotation file, with the masks of objects if ``masks``.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is not COCO ground truth.
    """
    path = Path(path)
    _check_file(path, "annotations")
    parts = _Parts(str(path), masks)
    try:
        with _gc_disabled():
            rest = read_lists(path, parts.add)
    except NotStreamableError:  # the parser of the whole file says what is wrong
        return GroundTruth.of(read_json(path, "annotations"), str(path), masks=masks)
    lists = {key: rows for key, rows in parts.lists.items() if isinstance(rest.get(key), list)}
    return GroundTruth.of_parts({**rest, **lists}, parts.boxes, str(path), masks=masks)


class _Parts:
    """The lists of a COCO file, read part by part without what the evaluation does not use, such as outlines without ``masks``."""

    def __init__(self, name: str, masks: bool) -> None:
        self.name, self.masks = name, masks
        self.boxes: list[dict[str, Any]] = []
        self.lists: dict[str, list[Any]] = {"images": [], "categories": []}

    def add(self, key: str, text: bytes, position: int) -> None:
        """Add a part of a list."""
        del position
        if key == "annotations":
            self.boxes += read_annotations(parsed_items(text), self.name, len(self.boxes), masks=self.masks)
        elif key in self.lists:
            self.lists[key] += [_reduced(row) for row in parsed_items(text)]


def _reduced(row: Any) -> Any:
    return {key: row[key] for key in ("id", "file_name", "name", "width", "height") if key in row} if isinstance(row, dict) else row


def read_results(path: str | Path, truth: GroundTruth) -> Any:
    """Read a COCO results file and check it against its ground truth.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file does not contain results, or they do not belong to this ground truth.
    """
    return check_results(read_json(path, "results"), truth, str(path))


def read_json(path: str | Path, kind: str) -> Any:
    """Read a JSON file.

    Args:
        path: The file.
        kind: The kind of file, for error messages.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is empty or not JSON.
    """
    content = _content(local_copy(path), kind)
    with _gc_disabled():
        return parse_json(content, f"{kind} {path}")


def _check_file(path: Path, kind: str) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"{kind} {path}: {'expected a JSON file, got a folder' if path.is_dir() else 'no such file'}")


def _content(path: Path, kind: str) -> bytes:
    _check_file(path, kind)
    content = path.read_bytes()
    if not content.strip():
        raise ValueError(f"{kind} {path}: the file is empty, expected JSON")
    return content


def _from_results_file(truth: GroundTruth, path: Path) -> Curves:
    """Let hotcoco read the file, which is several times faster; fall back to checking row by row if anything looks wrong."""
    import hotcoco

    content = _content(path, "results")
    ground_truth = hotcoco.COCO(truth.to_dict())
    detections = _plain_detections(ground_truth, path, content)
    if detections is None:
        detections = ground_truth.load_res(read_results(path, truth))
    return hotcoco_curves(ground_truth, detections)


def _plain_detections(ground_truth: Any, path: Path, content: bytes) -> Any | None:
    """Return the detections if every row is complete and belongs to this ground truth, else None.

    Hotcoco rejects a key that occurs twice in a row, a box that is not four numbers, and NaN. It warns of ids that are not in the
    ground truth. It accepts rows without a score or a box (detected here by counting the keys), null, and negative sides.
    """
    if b"null" in content or re.match(rb"\s*\[", content) is None:
        return None
    try:
        with _stderr_suppressed():
            detections = ground_truth.load_res(str(path))
    except Exception:
        return None  # checking row by row raises a clearer error
    rows = detections.stats()["annotation_count"]
    complete = all(content.count(key) == rows for key in (b'"bbox"', b'"score"'))
    suspicious = detections.load_warnings or detections.get_ann_ids(area_rng=[float("-inf"), -1e-300])
    return detections if complete and not suspicious else None


@contextlib.contextmanager
def _gc_disabled() -> Iterator[None]:
    """Disable the garbage collector, which would scan hundreds of thousands of live rows again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextlib.contextmanager
def _stderr_suppressed() -> Iterator[None]:
    """Suppress what compiled code prints to stderr; its warnings are reported as errors by our own checks."""
    try:
        original = os.dup(2)
    except OSError:  # the process has no stderr
        yield
        return
    try:
        with open(os.devnull, "wb") as devnull:
            os.dup2(devnull.fileno(), 2)
        yield
    finally:
        os.dup2(original, 2)
        os.close(original)
