from __future__ import annotations

import json
from pathlib import Path

import make_results
import pytest

from detkit import zoo

ROOT = Path(__file__).resolve().parents[2]


def test_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "results.md").read_text("utf-8") == make_results.page(), "run: python docs/make_results.py"


def test_every_result_is_stated_in_its_config() -> None:
    for path in sorted((ROOT / "docs" / "results").glob("*.json")):
        row = json.loads(path.read_text("utf-8"))
        config = zoo.path(row["name"])
        assert path.stem == row["name"]
        assert config.is_file()
        for key in ("AP", "top1", "balanced"):
            test = make_results.numbers_of(row).get(key)
            if test is not None:
                assert f"{test:.3f}" in config.read_text("utf-8"), (
                    f"{config.name}: its docstring does not state the measured {key} {test:.3f}"
                )


def test_results_below_half_of_the_best_have_a_cause() -> None:
    rows = [json.loads(path.read_text("utf-8")) for path in sorted((ROOT / "docs" / "results").glob("*.json"))]
    assert make_results.without_cause(rows) == []
    low = {**rows[0], "name": "low", "cause": ""}
    low["test"] = {**low["test"], "values": {"AP": 0.01}}
    assert make_results.without_cause([*rows, low]) == ["low"]
    assert make_results.without_cause([*rows, {**low, "cause": "measured"}]) == []


def run_of(name: str, best: dict[str, float], model: dict[str, str], processor: str, **numbers: float) -> dict[str, object]:
    """Return the results of a run on BCCD."""
    config = {"output": "/somewhere", "model": model, "data": {"train": {"path": "data/bccd"}}}
    return {"name": name, **numbers, "validation": {"best": best}, "config": config, "machine": {"processor": processor}}


def write(folder: Path, **files: dict[str, object]) -> list[Path]:
    """Write the files of a run and of its measurements to a folder."""
    (folder / "run").mkdir()
    paths = [folder / "run" / f"{name}.json" for name in files]
    for path, content in zip(paths, files.values(), strict=True):
        path.write_text(json.dumps(content))
    return paths


def test_run_is_added_with_its_test_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_results, "RESULTS", tmp_path)
    counts = {"seed": 3, "core_minutes": 59.94, "images_seen": 1234, "wall_minutes": 2.0, "parameters": 1_500_000}
    run = run_of("a_config", {"AP": 0.5}, {}, "Intel(R) Xeon(R) Processor", **counts)
    keys = ("data", "metric", "evaluator", "precision", "classes", "counts", "weights")
    numbers: dict[str, object] = {**dict.fromkeys(keys, ""), "values": {"AP": 0.61, "AP50": 0.9, "AP75": None}}
    speed = {
        "command": "python tools/benchmark.py detector /somewhere/a_config-2 --data data/bccd",
        "gflops": 4.04,
        "image": [480, 640],
        "precision": "bf16",
        "seconds": {"bf16": [1, 0.02, 0.03]},
    }
    results, test, times = write(tmp_path, results=run, numbers=numbers, speed={**speed, "machine": {}})
    make_results.add(results, test, "1 run", times, "As measured.")
    assert "**a_config** has less than half of the best AP. As measured." in make_results.page()
    assert "| 0.610 | 0.900 | - | 0.500 | 1.5 M | 4.0 | 3 | (1) |" in make_results.page()
    assert "\n(1) 1 run.\n" in make_results.page()
    assert "| a_config | Intel Xeon | 59.9 | 1,234 | 0.34 | - | 30 |" in make_results.page()
    assert "## bccd" in make_results.page()
    assert "/somewhere" not in (tmp_path / "a_config.json").read_text("utf-8")


def test_classifiers_have_their_own_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_results, "RESULTS", tmp_path)
    counts = {"seed": 1, "core_minutes": 3.0, "images_seen": 1800, "parameters": 2_000_000}
    run = run_of("cells", {"top1": 0.9, "balanced": 0.8}, {"kind": "classifier"}, "AMD EPYC", **counts)
    numbers = {**dict.fromkeys(("data", "images", "top1_by_class", "confusion"), ""), "top1": 0.95, "top5": 1.0, "balanced": 0.85}
    make_results.add(*write(tmp_path, results=run, numbers=numbers), "")
    page = make_results.page()
    assert "## bccd, classifiers\n\n| config | test top-1 | balanced |" in page
    assert "| 0.950 | 0.850 | 0.900 | 0.800 | 2.0 M | 1 | none |" in page
    assert "| cells | AMD EPYC | 3.0 | 1,800 | 10.00 | - | - |" in page
    assert "## bccd\n" not in page


def test_benchmarks_are_shown_with_their_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_results, "RESULTS", tmp_path)
    report = {
        "command": "python tools/benchmark.py detect",
        "title": "Detection",
        "machine": {"cores": 2, "processor": "One"},
        "seconds": {"other": [3.0, 2.0, 1.0], "detkit": [0.5]},
        "ratios": {"other": 1.0, "detkit": 4.0},
        "notes": ["a note", "a table\nof two lines"],
    }
    (tmp_path / "speed").mkdir()
    (tmp_path / "speed" / "detect.json").write_text(json.dumps(report))
    (tmp_path / "speed" / "train.json").write_text(json.dumps({**report, "title": "Training", "machine": {"cores": 2, "processor": "Two"}}))
    page = make_results.page()
    assert "the machine had 2 cores (One)" in page
    assert "**Detection**: `python tools/benchmark.py detect`" in page
    assert "**Training** (Two): `python tools/benchmark.py detect`" in page
    assert "| detkit | 0.5 | 0.5 to 0.5 | 4.00x |" in page
    assert "\na note.\n" in page
    assert "\n    a table\n    of two lines\n" in page


def test_proposals_are_described() -> None:
    proposals = {"max_proposals": 2000, "mode": "fast"}
    assert make_results.proposals_of({"config": {"model": {"proposals": proposals}}}) == "2,000 fast"
    assert make_results.proposals_of({"config": {"model": {"proposals": proposals, "warp_size": 128}}}) == "2,000 fast, 128 px"
    assert make_results.proposals_of({"config": {"model": {}}}) == "-"
