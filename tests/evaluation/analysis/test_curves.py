from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detkit.evaluation.analysis.curves import ScoreCurve, class_curves
from detkit.evaluation.analysis.matches import Matches
from detkit.evaluation.coco_curves import curves


def test_curves_over_recall_are_pycocotools_arrays(difficult_scene: Any, pycocotools_evaluation: Any) -> None:
    truth, results = difficult_scene(detected=0.8)
    precision = pycocotools_evaluation(truth, results).eval["precision"][..., 0, 2]
    everything, *classes = class_curves(truth, curves(truth, results, "hotcoco"), Matches.of(truth, results))
    for index, row in enumerate(classes[:3]):
        np.testing.assert_array_equal(row.precision_50, precision[0, :, index])
        np.testing.assert_array_equal(row.precision_75, precision[5, :, index])
        np.testing.assert_array_equal(row.precision_mean, precision[:, :, index].mean(0))
    np.testing.assert_array_equal(everything.precision_50, precision[0, :, :3].mean(1))
    np.testing.assert_allclose(everything.precision_mean.mean(), precision[precision > -1].mean())
    assert everything.objects == sum(row.objects for row in classes)
    unused = classes[-1]
    assert (unused.name, unused.objects, len(unused.by_score.scores)) == ("neither labeled nor detected", 0, 0)
    assert np.isnan(unused.precision_mean).all()


@pytest.mark.oracle("scikit-learn", "precision and recall over the score", tolerance="1e-14 relative")
def test_curves_over_the_score_are_those_of_sklearn_with_missed_objects_as_positives_at_minus_infinity(difficult_scene: Any) -> None:
    from sklearn.metrics import average_precision_score, precision_recall_curve

    truth, results = difficult_scene(detected=0.8)
    matches, objects = Matches.of(truth, results), truth.boxes_by_class()[0].total()
    curve = ScoreCurve.of(matches.scores, matches.correct, objects)
    missed = objects - int(matches.correct.sum())
    assert missed > 0
    lowest = matches.scores.min() - 1  # sklearn refuses infinity; any score below all others has the same rank
    labels = np.append(matches.correct, np.ones(missed, np.bool_))
    scores = np.append(matches.scores, np.full(missed, lowest))
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    np.testing.assert_array_equal(curve.scores, thresholds[::-1][:-1])  # the last one is that of the missed objects
    np.testing.assert_allclose(curve.precision, precision[:-1][::-1][:-1], rtol=1e-14)
    np.testing.assert_allclose(curve.recall, recall[:-1][::-1][:-1], rtol=1e-14)
    area = float(np.sum(np.diff(curve.recall, prepend=0) * curve.precision))
    with_missed = area + (1 - curve.recall[-1]) * objects / (len(matches.scores) + missed)
    assert average_precision_score(labels, scores) == pytest.approx(with_missed, rel=1e-12)


def test_thinned_curve_keeps_its_ends_and_the_best_f1() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(5000) ** 4
    full = ScoreCurve.of(scores, rng.random(5000) < scores, 3000)
    thin = full.thinned(60)
    assert 30 < len(thin.scores) <= 60
    assert (np.diff(thin.scores) < 0).all()
    assert (thin.scores[0], thin.scores[-1], thin.f1.max()) == (full.scores[0], full.scores[-1], full.f1.max())
    assert full.thinned(5000) is full
    gaps = -np.diff(thin.scores)
    assert gaps.max() < 0.1
    nothing = ScoreCurve.of(scores, np.zeros(5000, np.bool_), 0).thinned(60)
    assert np.isnan(nothing.f1).all()
