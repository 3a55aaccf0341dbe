"""Planted errors are found first, each with its kind and its correction; nothing else is probable."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from labeled_scenes import NAMES, Scenes

from detkit.checkpoint.operating_points import OperatingPoint, OperatingPoints
from detkit.curation.label_errors import ErrorKind, find_label_errors
from detkit.curation.label_errors.candidates import Candidate, LabelErrors
from detkit.curation.label_errors.classes import SharedClasses
from detkit.curation.label_errors.find import candidates_of


def planted() -> Scenes:
    """A removed label in image 3, a moved box in image 7, an exchanged class in image 11."""
    scenes = Scenes()
    scenes.remove(3, 1)
    scenes.boxes[7][2, [0, 2]] -= 28
    scenes.labels[11][0] = (scenes.labels[11][0] + 1) % len(NAMES)
    return scenes


def found(scenes: Scenes, **options: float) -> LabelErrors:
    return candidates_of(scenes.parts(), scenes.detected(), **options)


def by_image(errors: LabelErrors) -> dict[int, Candidate]:
    return {one.image: one for one in reversed(errors.candidates)}


def test_planted_errors_are_first() -> None:
    scenes = planted()
    errors = found(scenes)
    assert {one.image for one in errors.candidates[:3]} == {3, 7, 11}
    missing, box, class_ = (by_image(errors)[image] for image in (3, 7, 11))
    assert (missing.kind, box.kind, class_.kind) == (ErrorKind.MISSING, ErrorKind.BOX, ErrorKind.CLASS)
    assert (missing.row, box.row, class_.row) == (None, 3, 1)
    right = NAMES[(scenes.labels[11][0] - 1) % len(NAMES)]
    assert (class_.class_name, class_.suggested_class) == (NAMES[scenes.labels[11][0]], right)
    assert box.suggested_box is not None
    assert abs(box.suggested_box[0] - (scenes.boxes[7][2, 0] + 28)) < 10
    assert errors.candidates[2].score > 3 * max([one.score for one in errors.candidates[3:]], default=0.0)
    assert errors.labels == 40 * 3 - 1
    assert errors.counts[ErrorKind.MISSING] == 1


def test_right_labels_give_no_candidates() -> None:
    assert found(Scenes()).candidates == ()


def test_the_lowest_score_is_respected() -> None:
    everything = found(planted(), min_score=0.0)
    assert len(everything.candidates) > 100
    half = everything.candidates[0].score
    assert all(one.score >= half for one in found(planted(), min_score=half).candidates)


def test_crowds_hide_what_is_in_them() -> None:
    scenes = planted()
    scenes.boxes[3] = np.concatenate([scenes.boxes[3], np.array([[0, 0, 300, 200]], np.float32)])
    scenes.labels[3], scenes.crowd[3] = np.append(scenes.labels[3], 0), np.array([False, False, True])
    scenes.difficult[3] = np.zeros(3, np.bool_)
    scenes.crowd[7][2] = True  # the moved box is an ignore region now, and its image has nothing else that is wrong
    errors = found(scenes)
    assert not [one for one in errors.candidates if one.image == 3 and one.kind is ErrorKind.MISSING]
    assert not [one for one in errors.candidates if one.image == 7 and one.row == 3]


def test_the_row_counts_crowds() -> None:
    scenes = planted()
    scenes.crowd[7][0] = True
    assert by_image(found(scenes))[7].row == 3


def test_difficult_labels_count_half() -> None:
    scenes = planted()
    before = by_image(found(scenes))[7].score
    scenes.difficult[7][2] = True
    after = by_image(found(scenes))[7]
    assert after.score == pytest.approx(before / 2)
    assert after.is_difficult


def test_classes_that_the_detector_does_not_know_are_not_judged() -> None:
    scenes = planted()
    names = ("cat", "dog", "mug")
    errors = candidates_of(scenes.parts(), scenes.detected(names))
    assert errors.unknown_classes == {"cup": sum(int((labels == 2).sum()) for labels in scenes.labels)}
    assert errors.unused_classes == ("mug",)
    assert all("cup" not in (one.class_name, one.suggested_class) for one in errors.candidates)
    assert errors.labels + errors.unknown_classes["cup"] == 119


def test_renamed_classes_are_judged() -> None:
    scenes = planted()
    names = ("cat", "dog", "mug")
    parts = scenes.parts()
    detected = scenes.detected(names)
    renamed = SharedClasses.of(NAMES, names, {"cup": "mug"})
    errors = candidates_of(parts, type(detected)(detected.model, renamed, detected.boxes))
    assert errors.unknown_classes == {}
    assert {one.image for one in errors.candidates[:3]} == {3, 7, 11}
    assert by_image(errors)[3].suggested_class in NAMES


def test_no_common_class_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no class in common: the data has 3 \(cat, dog, cup\), the detector 1 \(mug\); rename"):
        SharedClasses.of(NAMES, ("mug", None))


def test_operating_points_of_classes_are_used() -> None:
    point = OperatingPoint("dog", 0.7, 0.9, 0.9, 0.9)
    points = OperatingPoints("best F1", "data", 10, point, {"dog": point})
    np.testing.assert_array_equal(SharedClasses.of(NAMES, NAMES).thresholds(points), [np.nan, 0.7, np.nan, np.nan, np.nan, np.nan])


def test_a_predictor_runs_on_the_images(tmp_path: Path) -> None:
    scenes = planted()
    seen: list[int] = []
    errors = find_label_errors(scenes.parts(tmp_path), scenes.predictor(), progress=lambda rows: (seen.append(1) or row for row in rows))
    assert errors.candidates == found(scenes).candidates
    assert len(seen) == 40


def test_data_without_labels_and_detections_have_no_candidates() -> None:
    scenes = Scenes(2)
    for image in range(2):
        for _ in range(3):
            scenes.remove(image, 0)
    scenes.detections = [(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))] * 2
    assert found(scenes).candidates == ()
