"""Gates: parsing, and which differences pass."""

from __future__ import annotations

from typing import Any

import pytest

from detkit.comparison.gate import Gate, check_gates, parse_gates


def row(name: str, ap: float, person: float) -> dict[str, Any]:
    return {"name": name, "test": {"AP": ap, "AP50": ap}, "runs": [{"test_classes": [{"name": "person, sitting", "ap50": person}]}]}


RESULTS = {"classes": ["person, sitting"], "entries": [row("old", 0.5, 0.7), row("new", 0.496, 0.68)]}


def test_parsing() -> None:
    assert parse_gates("ap=-0.005,AP50:person, sitting=-1e-2") == (Gate("AP", None, -0.005), Gate("AP50", "person, sitting", -0.01))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ap", "expected METRIC=LIMIT"),
        ("=1", "expected METRIC=LIMIT"),
        ("map=0", "unknown metric 'map'"),
        ("ap=", "expected a number after =, such as -0.005; got ''"),
        ("ap=nan", "expected a number"),
        ("ap50:=0", "expected a class after the colon"),
        ("ar1:cat=0", "not measured for single classes"),
    ],
)
def test_wrong_gates(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_gates(text)


def test_only_differences_below_the_limit_fail() -> None:
    assert check_gates(parse_gates("ap=-0.005"), RESULTS) == ()
    (line,) = check_gates(parse_gates("ap=-0.003,ap50:person, sitting=-0.05"), RESULTS)
    assert line == "gate ap=-0.003 failed: new has 0.4960, old 0.5000: a difference of -0.0040"
    (line,) = check_gates(parse_gates("ap50:person, sitting=-0.01"), RESULTS)
    assert "ap50:person, sitting=-0.01 failed: new has 0.6800, old 0.7000" in line


def test_gates_that_cannot_be_checked() -> None:
    with pytest.raises(ValueError, match="no class 'person'"):
        check_gates(parse_gates("ap:person=0"), RESULTS)
    with pytest.raises(ValueError, match="at least two detectors"):
        check_gates(parse_gates("ap=0"), {**RESULTS, "entries": RESULTS["entries"][:1]})
    with pytest.raises(ValueError, match="no objects for this metric"):
        check_gates(parse_gates("aps=0"), RESULTS)
