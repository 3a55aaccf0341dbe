"""The check for GPUs, small and on the CPU."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture
def gpu_check(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = importlib.util.spec_from_file_location("gpu_check", TOOLS / "gpu_check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_a_gpu_it_says_so(gpu_check: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(SystemExit) as stop:
        gpu_check.main([])
    assert stop.value.code == 2
    assert "this PyTorch finds no GPU; --device cpu runs the checks on the processor" in capsys.readouterr().err


def test_a_check_that_breaks_is_a_failure_and_a_late_one_is_skipped(gpu_check: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    report = gpu_check.Report(minutes=1)
    report.run("good", lambda: (True, "1 image/s"))
    report.run("bad", lambda: (False, "2 apart"))
    report.run("broken", lambda: 1 / 0)
    report.run("not here", lambda: (None, "one device"))
    report.started -= 100
    report.run("late", lambda: (True, ""))
    assert [verdict.outcome for verdict in report.verdicts] == ["pass", "fail", "fail", "skip", "skip"]
    assert report.failed == 2
    assert "ZeroDivisionError: division by zero (test_gpu_check.py:" in capsys.readouterr().out


@pytest.mark.slow
def test_the_small_check_on_the_cpu(gpu_check: ModuleType, tmp_path: Path) -> None:
    failed = gpu_check.main(["--device", "cpu", "--small", "--json", str(tmp_path / "check.json")])
    checks = json.loads((tmp_path / "check.json").read_text("utf-8"))["checks"]
    by_name = {check["name"]: check for check in checks}
    speed = {name for name in by_name if name.startswith("retinanet")}  # slower than torchvision on a busy machine proves nothing
    assert not {name for name, check in by_name.items() if check["outcome"] == "fail"} - speed, checks
    assert failed <= len(speed)
    assert {"exact resume", "DDP", "AP by number format", "YOLOX: device equals CPU"} <= by_name.keys()
    assert by_name["exact resume"]["figures"].startswith("weights differ by at most 0.0e+00")
