"""docs/correctness.md agrees with the markers of the tests, and every file of comparisons has one."""

from __future__ import annotations

from pathlib import Path

import make_correctness
import pytest
from make_correctness import CASES, DECLARED, comparison, declared, kept, version_of

ROOT = Path(__file__).resolve().parents[2]
STALE = "run: python docs/make_correctness.py"


def without_counts(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return what markers declare, in one order."""
    return sorted(({key: row[key] for key in DECLARED} for row in rows), key=lambda row: (row["file"], row["test"], row["what"]))


def test_page_is_up_to_date() -> None:
    assert make_correctness.PAGE.read_text("utf-8") == make_correctness.page(), STALE


def test_the_markers_are_those_of_the_page() -> None:
    rows = declared()
    assert without_counts(rows) == without_counts(kept()), STALE
    assert len(rows) > 100


def test_every_file_of_comparisons_has_a_marker() -> None:
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests" / "parity").glob("test_*.py")}
    assert files - {str(row["file"]) for row in declared()} == set()


def test_every_comparison_has_cases_and_known_models() -> None:
    known = make_correctness.model_names()
    for row in kept():
        assert row["cases"] > 0
        assert row["slow"] <= row["cases"]
        assert {*row["proved"], *row["shaped"]} <= known, f"{row['file']}, {row['test']}: unknown models"
        for field, names in (("models", "proved"), ("tensors", "shaped")):
            assert bool(row[field]) == bool(row[names]), f"{row['file']}, {row['test']}: no parameter of a case is the name of a model"
            assert row[field] == CASES or sorted(row[field]) == row[names]


def test_versions_come_from_the_requirements() -> None:
    row = comparison("tests/a.py", "test_a", "torchvision", "boxes", tolerance="1e-4")
    assert version_of(row).startswith("torchvision >=")
    assert version_of({**row, "oracle": "PyTorch"}).startswith("torch >=")
    assert version_of({**row, "oracle": "a program", "version": "1.0, frozen"}) == "1.0, frozen"
    with pytest.raises(ValueError, match="no requirement 'a program' in pyproject.toml; add version="):
        version_of({**row, "oracle": "a program"})


@pytest.mark.slow
def test_cases_are_those_that_pytest_collects() -> None:
    assert make_correctness.collected() == kept(), STALE
