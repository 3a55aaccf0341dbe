from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import make_distillation
import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_what_the_files_give() -> None:
    text = (ROOT / "docs" / "distillation.md").read_text("utf-8")
    assert text == make_distillation.page(text), "run: python docs/make_distillation.py"


def test_runs_of_several_seeds_become_a_line(refilled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_distillation, "RESULTS", tmp_path / "kept")
    assert "Not measured yet." in refilled(make_distillation.page, "distillation")
    words = ("data", "metric", "engine", "precision", "counts")
    for name, seed, ap in (("taught", 1, 0.5), ("alone", 0, 0.25), ("taught", 0, 0.4)):
        teacher = {"distillation": {"teacher": "runs/large-1"}} if name == "taught" else {"distillation": None}
        run: dict[str, Any] = {
            "name": name,
            "seed": seed,
            "core_minutes": 14.96,
            "images_seen": 1234,
            "config": {"output": "/x", **teacher},
        }
        (tmp_path / "results.json").write_text(json.dumps({**run, "steps": 3}))
        (tmp_path / "numbers.json").write_text(json.dumps({**dict.fromkeys(words, ""), "values": {"AP": ap, "AP50": 2 * ap}}))
        kept = json.loads(make_distillation.add(tmp_path / "results.json", tmp_path / "numbers.json").read_text())
        assert kept["config"]["output"] is None
    made = refilled(make_distillation.page, "distillation")
    assert "| large-1 | 15.0, 15.0 | 1,234, 1,234 | 0, 1 | 0.400, 0.500 | 0.450 | 0.800, 1.000 | 0.900 |" in made
    assert "| [alone](../configs/alone.py) | - | 15.0 |" in made


def test_a_run_is_not_added_without_its_test_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        make_distillation.main(["--add", "results.json"])
    assert "--add needs --test" in capsys.readouterr().err
