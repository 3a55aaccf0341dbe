"""The launcher of several processes on one machine: which of their failures is reported, and how."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from detkit.training.process.launcher import Ended, _failure, is_launched, recorded_errors, threads_per_process


def failure(folder: Path, rank: int, code: int, message: str = "", kind: str = "ValueError") -> Any:
    """Return a failure as PyTorch's launcher reports it."""
    path = folder / str(rank) / "error.json"
    path.parent.mkdir()
    if message:
        extra = {"kind": kind, "py_callstack": f"trace of {rank}"}
        path.write_text(json.dumps({"message": {"message": message, "extraInfo": extra}}))
    return SimpleNamespace(exitcode=code, error_file=str(path))


def test_the_cause_is_reported_and_not_its_consequences(tmp_path: Path) -> None:
    lost = failure(tmp_path, 0, 2, "another process has ended", "LostProcessError")
    ended = _failure({0: lost, 1: failure(tmp_path, 1, 2, "a.jpg: empty")}, 2, tmp_path)
    assert ended == Ended(2, "a.jpg: empty", "trace of 1")
    killed = _failure({0: lost, 2: failure(tmp_path, 2, -signal.SIGKILL)}, 3, tmp_path)
    assert killed == Ended(137, "process 2 of 3 was killed by SIGKILL, perhaps as memory ran out; resume the run with --resume")
    for code in (143, -signal.SIGTERM):  # of a process that the launcher stopped
        stopped = SimpleNamespace(exitcode=code, error_file="<N/A>")
        assert _failure({0: stopped, 1: SimpleNamespace(exitcode=-signal.SIGKILL, error_file="<N/A>")}, 2, tmp_path).code == 137


def test_a_process_that_stopped_itself_has_said_so(tmp_path: Path) -> None:
    assert _failure({1: failure(tmp_path, 1, 143)}, 2, tmp_path) == Ended(143)
    assert _failure({1: failure(tmp_path, 2, -signal.SIGTERM)}, 2, tmp_path) == Ended(143)


def test_the_last_lines_of_a_crash_elsewhere_are_shown(tmp_path: Path) -> None:
    crash = SimpleNamespace(exitcode=1, error_file="<N/A>")
    assert _failure({1: crash}, 2, tmp_path) == Ended(1, "process 1 of 2 ended with exit code 1")
    for rank in (0, 1):
        log = tmp_path / "attempt_0" / str(rank) / "stderr.log"
        log.parent.mkdir(parents=True)
        log.write_text("".join(f"line {i}\n" for i in range(50)))
    assert _failure({1: crash}, 2, tmp_path).trace.splitlines() == [f"line {i}" for i in range(30, 50)]
    assert _failure({0: crash}, 2, tmp_path).trace == ""  # on the screen already


def test_a_process_records_its_error_for_the_launcher_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="wrong"), recorded_errors():
        raise ValueError("wrong")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "of a user")
    assert not is_launched()
    for name, value in {"TORCHELASTIC_RUN_ID": "detkit-1", "TORCHELASTIC_ERROR_FILE": str(tmp_path / "error.json"), "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as exit_info, recorded_errors():
        raise ValueError("wrong")
    assert exit_info.value.code == 2
    ended = _failure({0: SimpleNamespace(exitcode=2, error_file=str(tmp_path / "error.json"))}, 2, tmp_path)
    assert ended.message == "wrong"
    assert "ValueError: wrong" in ended.trace
    assert (tmp_path / "pid").read_text() == str(os.getpid())
    with pytest.raises(TypeError), recorded_errors():  # an error of detkit's own keeps its traceback
        raise TypeError


def test_processes_share_the_processors() -> None:
    assert threads_per_process(1000) == "1"
    assert int(threads_per_process(1)) >= 1
