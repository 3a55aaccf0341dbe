"""``detkit train --devices 2`` as a user types it: two processes on the CPU."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from detkit.checkpoint import load_checkpoint, load_state
from detkit.experiment import Experiment, train

Tiny = Callable[..., Experiment]
pytestmark = pytest.mark.slow


def start(*words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "DETKIT_NO_REPORT": "1"}
    command = [sys.executable, "-m", "detkit", "train", *words, "--devices", "2", "--device", "cpu"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        out, error = process.communicate(timeout=400)
    finally:
        process.kill()
    return process.returncode, out, error


def long_run(tiny: Tiny, tmp_path: Path) -> subprocess.Popen[str]:
    """Return a command that trains, after its first step."""
    file = tmp_path / "long.json"
    file.write_text(tiny("run", steps=100_000, evaluations=1).to_json())
    process, deadline = start(str(file)), time.monotonic() + 300
    metrics = tmp_path / "run" / "metrics.jsonl"
    while not (metrics.is_file() and metrics.read_text()):
        assert process.poll() is None, end(process)
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


def test_two_processes_equal_one_and_print_once(tiny: Tiny, tmp_path: Path) -> None:
    alone = train(tiny("alone", steps=3, evaluations=1), device="cpu", progress=False)
    file = tmp_path / "two.json"
    file.write_text(tiny("two", steps=3, evaluations=1).to_json())
    code, out, error = end(start(str(file)))
    assert (code, error) == (0, "")
    assert out.count("finished after 3 steps, 6 images") == out.count("new run in") == 1
    one, two = load_checkpoint(alone.folder / "last.safetensors"), load_checkpoint(tmp_path / "two" / "last.safetensors")
    for name, tensor in one.tensors.items():
        torch.testing.assert_close(two.tensors[name], tensor, rtol=0, atol=1e-5, msg=name)
    assert len(load_state(tmp_path / "two" / "last.state")["inside"]["random"]) == 2


def test_an_error_is_one_line(tiny: Tiny, tmp_path: Path) -> None:
    file = tmp_path / "wrong.json"
    file.write_text(tiny("wrong").to_json())
    code, _, error = end(start(str(file), "loader.batch_size=3"))
    assert code == 2
    assert error.splitlines()[-1].startswith("detkit: error: sampler: a global batch of 3 images cannot be shared equally by 2 processes")
    assert error.count("error") == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_the_run_and_the_run_resumes(number: signal.Signals, code: int, tiny: Tiny, tmp_path: Path) -> None:
    process = long_run(tiny, tmp_path)
    process.send_signal(number)
    ended, out, error = end(process)
    assert (ended, error) == (code, "")
    assert out.count(f"{number.name}: stopping after this step and saving the run; again to stop now") == 1
    assert f"resume it with: detkit train --resume {tmp_path / 'run'}" in out
    steps = load_state(tmp_path / "run" / "last.state")["inside"]["step"]
    code, out, error = end(start("--resume", str(tmp_path / "run"), f"training.steps={steps + 2}"))
    assert (code, error) == (0, "")
    assert f"resuming after step {steps}" in out
    assert f"finished after {steps + 2} steps" in out


def test_a_killed_process_ends_the_command(tiny: Tiny, tmp_path: Path) -> None:
    process = long_run(tiny, tmp_path)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ranks = {Path(f"/proc/{pid}/environ").read_bytes().partition(b"\0RANK=")[2][:1]: int(pid) for pid in children}
    os.kill(ranks[b"1"], signal.SIGKILL)
    code, _, error = end(process)
    assert code == 137
    assert error.splitlines()[-1].startswith("detkit: error: process 1 of 2 was killed by SIGKILL, perhaps as memory ran out; resume")
