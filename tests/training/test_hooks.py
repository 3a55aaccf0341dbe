from __future__ import annotations

import json
from pathlib import Path

from detkit.training.hooks import MetricsFile, Record


def test_rows_of_repeated_steps_are_deleted(tmp_path: Path) -> None:
    hook = MetricsFile(tmp_path / "metrics.jsonl")
    for step in (5, 10, 15):
        hook.record(Record(step, step / 20, {"total": float("nan")}, 0.1, 1.0, 4 * step, 0.5, 0.1, 0.0))
        hook.evaluation(step, {"AP": 0.5})
    with hook.path.open("a") as handle:
        handle.write('{"step": 7, "cut in ha')
    hook.start(10)
    rows = [json.loads(line) for line in hook.path.read_text().splitlines()]
    assert [row["step"] for row in rows] == [5, 5, 10, 10]
    assert rows[0]["losses"] == {"total": None}


def test_a_later_stage_keeps_the_rows_of_earlier_stages(tmp_path: Path) -> None:
    hook = MetricsFile(tmp_path / "metrics.jsonl")
    hook.start(0)
    hook.evaluation(5, {"AP": 0.1})
    hook.start(0, 1)
    hook.evaluation(3, {"AP": 0.2})
    hook.start(2, 1)
    rows = [json.loads(line) for line in hook.path.read_text().splitlines()]
    assert rows == [{"step": 5, "evaluation": {"AP": 0.1}}]
