from __future__ import annotations

import pytest

from detkit.evaluation.analysis.target import Target


def test_targets_are_read_and_written() -> None:
    for text in ("f1", "precision=0.9", "recall=0.8", "false-alarms-per-image=0.1"):
        assert str(Target.parse(text)) == text
    assert Target.parse("precision=.9") == Target("precision", 0.9)
    assert Target.parse("recall=0.85").rule == "recall of at least 0.85 at IoU .5"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("accuracy=.9", r"expected f1, precision=P, recall=R or false-alarms-per-image=N, .*; got 'accuracy=.9'"),
        ("precision", "expected f1, precision=P"),
        ("f1=.9", "expected f1, precision=P"),
        ("precision=90", "precision: expected a number between 0 and 1, such as precision=0.9; got '90'"),
        ("recall=high", "recall: expected a number between 0 and 1"),
        ("precision=nan", "precision: expected a number between 0 and 1"),
        ("false-alarms-per-image=0", "false-alarms-per-image: expected a number above 0"),
    ],
)
def test_other_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Target.parse(text)
