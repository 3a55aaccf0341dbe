from __future__ import annotations

import numpy as np
import pytest
from bright import image, predictor, saved

from detkit.checkpoint.operating_points import HEADER_FIELD, OperatingPoint, OperatingPoints
from detkit.inference import ImagePyramid, detect_files
from detkit.inference.min_scores import LeftOut, MinScores, loaded_min_score, stored_min_score
from detkit.structures.detection import DetectionArrays


def points(overall: float, **classes: float) -> OperatingPoints:
    """Return points with these scores; the bright detector reports red .9, green .6 and an unnamed class."""
    named = {name: OperatingPoint(name, score, 0.9, 0.5, 0.64) for name, score in classes.items()}
    return OperatingPoints("best F1 at IoU .5", "made", 12, OperatingPoint("all", overall, 0.7, 0.6, 0.65), named)


def test_every_class_is_reported_from_its_own_score_on() -> None:
    assert predictor(min_score=points(0.7, green=0.5))(image()).labels.tolist() == [0, 1], "red has the score of all classes"
    assert predictor(min_score=points(0.1, green=0.61))(image()).labels.tolist() == [0]
    none = predictor(min_score=points(0.95, green=0.61))
    assert len(none(image())) == 0
    best = none.best_left_out
    assert best is not None
    assert (best.class_name, best.score, best.min_score) == ("red", pytest.approx(0.9), 0.95)
    assert none.min_score == 0.61
    assert "scores of f1 by class" in repr(none)


def test_evaluation_and_pyramids_see_all_detections() -> None:
    strict = predictor(min_score=points(0.95))
    assert len(strict.without_operating_points()(image())) == 2
    assert len(strict(image())) == 0, "the predictor itself is unchanged"
    given = predictor(min_score=0.7)
    assert given.without_operating_points() is given, "a number is what the user asked for"
    pyramid = ImagePyramid(predictor(min_score=points(0.7, green=0.5)), (1, 2))
    assert sorted(pyramid(image()).labels.tolist()) == [0, 1]
    assert pyramid.predictor.min_score == 0
    high = ImagePyramid(predictor(min_score=points(0.95)), (1,))
    assert len(high(image())) == 0
    assert high.best_left_out is not None
    assert len(high.without_operating_points()(image())) == 2
    assert len(ImagePyramid(predictor(min_score=points(0.95)), (1,), min_score=0.7)(image())) == 1, "a number overrides the points"


def test_each_file_knows_the_best_detection_that_is_left_out(tmp_path: object) -> None:
    files = [saved(tmp_path, "a.png", image()), saved(tmp_path, "b.png", np.zeros((60, 80, 3), np.uint8))]  # type: ignore[arg-type]
    first, second = detect_files(predictor(min_score=0.95), files)
    assert first.left_out is not None
    assert first.left_out.class_name == "red"
    assert second.left_out is None


def test_scores_are_compared_as_detectors_give_them() -> None:
    rows = DetectionArrays(np.zeros((3, 4), np.float32), np.array([0.7, 0.7, np.nan], np.float32), np.array([0, 1, 1]))
    assert MinScores(0.7, ("a", "b")).keep(rows).tolist() == [True, True, False], ".7 in float32 is less than .7 in float64"
    assert MinScores(points(0.71, b=0.7), ("a", "b")).keep(rows).tolist() == [False, True, False]
    assert MinScores(0.0, ("a", "b")).keep(rows).tolist() == [True] * 3, "an evaluation reports scores that are not finite"
    left_out = MinScores(points(0.71, b=0.7), ("a", "b")).best_left_out(rows, np.array([True, True, False]))
    assert left_out == LeftOut(pytest.approx(0.7), "a", 0.71)


def test_a_model_uses_its_points_unless_it_was_packed_with_a_number() -> None:
    found = points(0.3, green=0.4)
    stored = {HEADER_FIELD: found.to_dict()}
    assert stored_min_score(stored) == loaded_min_score(None, stored) == found
    assert stored_min_score({**stored, "min_score": 0.3}) == found, "an exported file repeats the score of all classes"
    assert stored_min_score({**stored, "min_score": 0.25}) == loaded_min_score(None, {**stored, "min_score": 0.25}) == 0.25
    assert loaded_min_score(0.0, stored) == 0
    assert stored_min_score({"min_score": 0.2}) == 0.2
    assert loaded_min_score(None, {"min_score": 0.2}) == 0, "without points, Python reports what the model returns"
    assert stored_min_score({}) is None
