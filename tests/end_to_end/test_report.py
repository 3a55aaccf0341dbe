"""The report at the end of a training: from what the validation kept, with the numbers of the best evaluation."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import detkit
from detkit.cli.main import main
from detkit.experiment import Experiment
from detkit.report.runs import run_report

Tiny = Callable[..., Experiment]


def value_of(page: str, key: str) -> str:
    match = re.search(rf'data-value="([^"]*)" data-key="{re.escape(key)}"', page)
    assert match is not None, key
    return match[1]


@pytest.fixture
def run(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A run of three steps with two evaluations, which wrote its report."""
    monkeypatch.delenv("DETKIT_NO_REPORT")
    (tmp_path / "tiny.json").write_text(tiny(steps=3, evaluations=2).to_json())
    words = [str(tmp_path / "tiny.json"), "optimizer.lr=0.004", "--device", "cpu", "--output", str(tmp_path / "trained")]
    assert main(["train", *words]) == 0
    assert f"report: {tmp_path / 'trained' / 'report.html'} (" in capsys.readouterr().out
    return tmp_path / "trained"


def test_a_training_ends_with_its_report(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check_evaluation(run, capsys)
    page = (run / "report.html").read_text("utf-8")
    results = json.loads((run / "results.json").read_text())
    for name in ("AP", "AP50", "ARl"):
        expected = results["validation"]["best"][name]
        assert value_of(page, f"analysis/numbers/values/{name}") == ("" if expected is None else repr(expected))
    assert f"after {results['validation']['best_step']:,} steps" in page
    rows = dict(re.findall(r"<tr><td><code>([\w.]+)</code></td><td><code>[^<]*</code></td><td>([^<]*)</td></tr>", page))
    assert rows["optimizer.lr"] == "command line"
    assert rows["training.steps"].startswith("config ")
    assert rows["training.best_metric"] == "default"
    assert re.search(r"<code>detkit train [^<]*tiny.json optimizer.lr=0.004 --device cpu</code>", page)
    assert page.count("data:image/webp") >= 4  # two batches, and the validation images
    losses = json.loads(re.findall(r'id="training-0-losses">(.*?)</script>', page)[0])["all"]
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert losses["curves"]["total"] == [row["losses"]["total"] for row in logged if "losses" in row]
    assert tensorboard_images(run) == {
        f"report/{name}" for name in ("precision_recall", "score", "calibration", "ap_by_class", "errors", "confusion")
    }

    def no_detector(*_: Any, **__: Any) -> None:
        raise AssertionError("a report of a run must not detect again")

    monkeypatch.setattr("detkit.report.api.detect_labeled", no_detector)
    assert detkit.write_report(run, path=tmp_path / "again.html") == tmp_path / "again.html"
    assert value_of((tmp_path / "again.html").read_text("utf-8"), "analysis/numbers/values/AP") == value_of(
        page, "analysis/numbers/values/AP"
    )
    (run / "detections_best.npz").unlink()  # then the newest evaluation
    run_report(run, tmp_path / "last.html")
    assert "after 3 steps" in (tmp_path / "last.html").read_text("utf-8")
    (run / "detections_last.npz").unlink()  # then the training alone
    run_report(run, tmp_path / "alone.html")
    assert "Validation" in (tmp_path / "alone.html").read_text("utf-8")


def tensorboard_images(run: Path) -> set[str]:
    from PIL import Image
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(run / "tensorboard"), {"images": 0})
    accumulator.Reload()
    names = set(accumulator.Tags()["images"])
    for name in names:
        image = Image.open(io.BytesIO(accumulator.Images(name)[0].encoded_image_string))
        assert np.asarray(image).std() > 5  # something is drawn
    return names


def check_evaluation(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Evaluating the run adds a report of its own to the folder, with the same numbers."""
    assert main(["evaluate", str(run), "--device", "cpu"]) == 0
    assert f"report: {run / 'evaluate-1' / 'report.html'} (" in capsys.readouterr().out
    best = json.loads((run / "results.json").read_text())["validation"]["best"]["AP"]
    page = (run / "evaluate-1" / "report.html").read_text("utf-8")
    assert float(value_of(page, "analysis/numbers/values/AP")) == pytest.approx(best, abs=1e-9)
