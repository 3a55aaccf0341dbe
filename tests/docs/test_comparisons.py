from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import make_comparisons
import pytest
from make_comparisons import COMPARISONS, add, main, page

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", COMPARISONS)
def test_page_is_up_to_date(name: str) -> None:
    text = (ROOT / "docs" / COMPARISONS[name].page).read_text("utf-8")
    assert text == page(text, name), "run: python docs/make_comparisons.py"


def add_run(folder: Path, to: str, name: str, seed: int, ap: float, config: dict[str, Any]) -> Path:
    run = {"name": name, "seed": seed, "core_minutes": 14.96, "images_seen": 1234, "config": {"output": "/x", **config}}
    numbers = {**dict.fromkeys(("data", "metric", "evaluator", "precision", "counts"), ""), "values": {"AP": ap, "AP50": 2 * ap}}
    (folder / "results.json").write_text(json.dumps({**run, "steps": 3}))
    (folder / "numbers.json").write_text(json.dumps(numbers))
    return add(folder / "results.json", folder / "numbers.json", to)


def test_runs_of_several_seeds_become_one_row(refilled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_comparisons, "RESULTS", tmp_path / "results")
    assert "Not measured yet." in refilled(partial(page, name="distillation"), "distillation")
    for name, seed, ap in (("taught", 1, 0.5), ("light_lite0_bccd", 0, 0.25), ("taught", 0, 0.4)):
        path = add_run(
            tmp_path, "distillation", name, seed, ap, {"distillation": {"teacher": "runs/large-1"} if name == "taught" else None}
        )
        assert json.loads(path.read_text())["config"]["output"] is None
    text = refilled(partial(page, name="distillation"), "distillation")
    assert "| taught | large-1 | 15.0, 15.0 | 1,234, 1,234 | 0, 1 | 0.400, 0.500 | 0.450 | 0.800, 1.000 | 0.900 |" in text
    assert "| [light_lite0_bccd](../detkit/zoo/yolo/light_lite0_bccd.py) | - | 15.0 |" in text


def test_initial_weights_are_described(refilled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_comparisons, "RESULTS", tmp_path / "results")
    for name, weights in (("one", "embedded"), ("two", None), ("three", "runs/x-1")):
        add_run(tmp_path, "starts", name, 0, 0.5, {"weights": weights})
    text = refilled(partial(page, name="starts"), "starts")
    for name, weights in (("one", "the detector inside the package"), ("two", "ImageNet, backbone only"), ("three", "runs/x-1")):
        assert f"| {name} | {weights} | 15.0 |" in text


def test_adding_a_run_requires_test_metrics_and_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("--test", "numbers.json"), ("--to", "starts")):
        with pytest.raises(SystemExit):
            main(["--add", "results.json", *words])
        assert "--add needs --test NUMBERS.JSON and --to distillation or starts" in capsys.readouterr().err
