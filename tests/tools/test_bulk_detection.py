"""The tool that measures bulk detection, and the page with its figures."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from benchmarks import bulk_rows, bulk_table  # noqa: E402

RESULTS = ROOT / "docs" / "results" / "scaling"


@pytest.fixture(scope="module")
def costs() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RESULTS / "costs.json").read_text())
    return content


def test_the_page_has_the_table(costs: dict[str, Any]) -> None:
    assert bulk_table.table(costs) in (ROOT / "docs" / "scaling.md").read_text("utf-8")


def test_the_page_has_the_measured_figures(costs: dict[str, Any]) -> None:
    page = (ROOT / "docs" / "scaling.md").read_text("utf-8")
    for line in bulk_table.measured(costs).splitlines():
        assert line in page


def test_ray_has_at_least_085_of_the_throughput_of_plain_shards() -> None:
    ratios = json.loads((RESULTS / "ray.json").read_text())["throughput_of_ray_to_plain"]
    assert ratios["on_idle_processors"] >= 0.85


def test_rows_are_measured(tmp_path: Path) -> None:
    measured = bulk_rows.measure_rows(1000, tmp_path)
    assert measured["bytes_of_row"] > 100
    assert set(measured["processor_seconds"]) == {"list", "write", "check", "merge"}
    detection = {"processor_seconds_of_image": 0.36, "bytes_of_image": 1000}
    cells = bulk_table.cells(1_000_000, {"detection": detection, "rows": measured})
    assert cells[:5] == ["1,000,000", "100", "0.07", "100", "1 GB"]
