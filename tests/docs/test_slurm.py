"""The shell part of ``docs/slurm/train.sbatch``, with commands of SLURM that record how they are called."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "slurm" / "train.sbatch"
pytestmark = pytest.mark.skipif(sys.platform == "win32" or shutil.which("bash") is None, reason="needs bash")

SRUN = """#!/usr/bin/env bash
printf '%s\\n' "$@" > srun.txt
printf '%s' "$TORCH_ELASTIC_SHUTDOWN_TIMEOUT" > timeout.txt
trap 'echo saving >> events.txt; sleep 0.2; exit 143' TERM
touch started
for _ in $(seq 200); do [ -e finish ] && exit "$(cat finish)"; sleep 0.05; done
"""
SCONTROL = """#!/usr/bin/env bash
case "$1 $2" in
  'show hostnames') printf 'node3\\nnode4\\n' ;;
  'show job') echo "JobId=$3 JobName=detkit"; echo "   JobState=$(cat state) Reason=None" ;;
  requeue*) echo "requeue $2" >> events.txt; exit "$(cat requeue_code)" ;;
esac
"""


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A folder in which the script runs, with the state of the job in files."""
    for name, text in {"srun": SRUN, "scontrol": SCONTROL}.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    (tmp_path / "state").write_text("RUNNING")
    (tmp_path / "requeue_code").write_text("0")
    return tmp_path


def start(job: Path, *words: str) -> subprocess.Popen[str]:
    slurm = {"SLURM_JOB_ID": "4711", "SLURM_JOB_NODELIST": "node[3-4]", "SLURM_NNODES": "2", "SLURM_GPUS_ON_NODE": "8"}
    environment = {**os.environ, **slurm, "PATH": f"{job / 'bin'}:{os.environ['PATH']}"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(["bash", SCRIPT, *words], cwd=job, env=environment, text=True, **pipes)
    deadline = time.monotonic() + 60
    while not (job / "started").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, error = process.communicate(timeout=60)
    assert not error
    return process.returncode, out


@pytest.mark.parametrize("code", [0, 2])
def test_a_job_that_nobody_stops_ends_like_its_training(job: Path, code: int) -> None:
    process = start(job, "fpn_r50", "--data", "my folder", "--output", "runs/fpn")
    (job / "finish").write_text(str(code))
    assert end(process) == (code, "")
    assert not (job / "events.txt").exists()
    words = (job / "srun.txt").read_text().splitlines()
    assert words[1:4] == ["python", "-m", "torch.distributed.run"]
    assert {"--nnodes=2", "--nproc-per-node=8", "--rdzv-backend=c10d", "--rdzv-endpoint=node3:24711", "--rdzv-id=4711"} <= set(words)
    assert words[-8:] == ["-m", "detkit", "train", "fpn_r50", "--data", "my folder", "--output", "runs/fpn"]
    assert (job / "timeout.txt").read_text() == "240"


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_signal_saves_the_run_and_requeues_the_job(job: Path, number: signal.Signals) -> None:
    process = start(job, "fpn_r50")
    process.send_signal(number)
    code, out = end(process)
    assert (code, (job / "events.txt").read_text()) == (0, "saving\nrequeue 4711\n")
    assert f"{number.name.removeprefix('SIG')}: saving the run" in out


def test_a_canceled_job_stays_canceled(job: Path) -> None:
    process = start(job, "fpn_r50")
    (job / "state").write_text("COMPLETING")
    process.send_signal(signal.SIGTERM)
    assert end(process)[0] == 143
    assert (job / "events.txt").read_text() == "saving\n"


def test_a_job_that_cannot_be_requeued_ends_with_the_code_of_its_training(job: Path) -> None:
    (job / "requeue_code").write_text("1")
    process = start(job, "fpn_r50")
    process.send_signal(signal.SIGUSR1)
    assert end(process)[0] == 143


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_shellcheck_finds_nothing() -> None:
    done = subprocess.run(["shellcheck", SCRIPT], capture_output=True, text=True, check=False)
    assert not done.stdout
