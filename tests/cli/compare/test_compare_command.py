"""``detkit compare`` on the command line: plans, flags that do not go together, and a comparison of tiny trainings from start to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from comparison_fakes import write_data

from detkit.cli.main import main

TINY = ("detr_lite0_bccd", "model.preprocess.short_side=64", "loader.batch_size=2", "training.evaluations=2", "evaluation.drawn_images=0")


def test_dry_run_prints_the_plan_and_its_price(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_data(tmp_path / "data", images=20)
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "--suite", "classics", "ssd_lite0_bccd:optimizer.lr=0.01", "--data", str(data), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "price: 45 trainings, 450 core-minutes (7.5 hours on one core)" in printed
    assert "equal minutes favor small models" in printed
    assert "9 trial runs of 1.4 to 37.2 core-minutes" in printed
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare", "ssd_lite0_bccd"], "give labeled images with --data"),
        (["compare", "--data", "data"], "nothing to compare"),
        (["compare", "ssd_lite0_bccd", "--data", "data", "--gate", "map=0"], "unknown metric 'map'"),
        (["compare", "--resume", "data"], "no comparison there"),
        (["compare", "ssd_lite0_bccd", "--resume", "data", "--seeds", "2"], "cannot be combined with THING"),
        (["compare", "ssd_lite0_bccd", "--data", "data", "--output", "data"], "expected a new or empty folder"),
    ],
)
def test_mistakes(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path / "data", images=4)
    assert main(words) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("text", "valid"), [("1/8,1/2", True), ("0", False), ("1/0", False), ("half", False)])
def test_fractions(text: str, valid: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_data(tmp_path / "data", images=20)
    words = ["compare", "ssd_lite0_bccd", "--data", str(data), "--seeds", "2", "--fractions", text, "--dry-run"]
    if valid:
        assert main(words) == 0
        assert "price: 6 trainings" in capsys.readouterr().out
    else:
        with pytest.raises(SystemExit):
            main(words)
        assert "expected fractions above 0 and up to 1" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
def test_a_comparison_is_killed_stopped_and_continued(tmp_path: Path) -> None:
    write_data(tmp_path / "data", images=20)
    things = [TINY[0], f"{TINY[0]}:optimizer.lr=1e-3", *TINY[1:]]
    command = [sys.executable, "-m", "detkit", "compare", *things, "--data", "data", "--seeds", "1", "--output", "out"]
    command += ["--steps", "20", "training.save_minutes=0.01", "--gate", "ap=-1"]
    folder, environment = tmp_path / "out", {**os.environ, "OMP_NUM_THREADS": "1"}

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def wait_for(pattern: str, process: subprocess.Popen[str]) -> None:
        while not list(folder.glob(pattern)) and process.poll() is None:
            time.sleep(0.05)

    first = start()
    wait_for("runs/*/last.state", first)
    first.kill()  # its training notices, saves itself and ends
    first.communicate()
    second = start()
    wait_for("checkpoints/*.safetensors", second)
    second.send_signal(signal.SIGTERM)
    text, _ = second.communicate(timeout=600)
    assert second.returncode == 143, text
    third = start()
    text, _ = third.communicate(timeout=600)
    assert third.returncode == 0, text
    content = json.loads((folder / "compare.json").read_text("utf-8"))
    assert [run["steps"] for row in content["results"]["entries"] for run in row["runs"]] == [20, 20]
    assert content["results"]["missing"] == []
    assert set(json.loads((folder / "latency.json").read_text("utf-8"))["detectors"]) == {
        row["slug"] for row in content["results"]["entries"]
    }
    assert (folder / "report.html").stat().st_size > 50_000
    assert not list((folder / "runs").iterdir())
