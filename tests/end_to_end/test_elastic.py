"""``torchrun`` on loopback: two agents, processes killed by SIGKILL, and nodes that join and are lost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from detkit.checkpoint import load_checkpoint, load_state
from detkit.data.synthetic import make_sample
from detkit.experiment import Experiment

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import elastic_kill_test as kills

Tiny = Callable[..., Experiment]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def agents() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Yield a function that starts an agent; all that it has started are killed at the end, with their processes."""
    started: list[subprocess.Popen[bytes]] = []
    port = free_port()

    def start(nodes: str, words: list[str], output: Path, *options: str) -> subprocess.Popen[bytes]:
        meeting = ["--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}", "--rdzv-id=job7", "--local-addr=127.0.0.1"]
        command = kills.torchrun(f"--nnodes={nodes}", "--nproc-per-node=1", *meeting, *options)
        started.append(kills.start([*command, *words], output))
        return started[-1]

    try:
        yield start
    finally:
        for agent in started:
            kill(agent)


def kill(agent: subprocess.Popen[bytes]) -> None:
    """Kill an agent and its processes, as when a machine is lost."""
    if agent.poll() is None:
        for pid in [agent.pid, *kills.workers(agent.pid).values()]:
            os.kill(pid, signal.SIGKILL)
    agent.wait()


def test_two_agents_equal_one_node_with_two_processes(tiny: Tiny, tmp_path: Path) -> None:
    """Bit for bit: the exchange of gradients is the same, whoever has started the processes."""
    for name in ("two", "one"):
        (tmp_path / f"{name}.json").write_text(tiny(name, steps=3, evaluations=1).to_json())
    with agents() as start:
        words = ["train", str(tmp_path / "two.json"), "--device", "cpu"]
        both = [start("2", words, tmp_path / f"agent{node}.txt") for node in range(2)]
        assert [agent.wait(timeout=400) for agent in both] == [0, 0], (tmp_path / "agent0.txt").read_text()
    one = [*kills.torchrun("--standalone", "--nproc-per-node=2"), "train", str(tmp_path / "one.json"), "--device", "cpu"]
    assert kills.start(one, tmp_path / "one.txt").wait(timeout=400) == 0
    expected, found = (load_checkpoint(tmp_path / name / "last.safetensors") for name in ("one", "two"))
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in expected.tensors.items())
    assert found.header["metrics"] == expected.header["metrics"]


def test_a_run_whose_processes_are_killed_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    images, runs = kills.test(3, 0, tmp_path)
    assert images == kills.STEPS * kills.BATCH
    assert [problem for run in runs for problem in run.problems] == []
    assert sum(len(run.kills) for run in runs) == 3


def test_a_run_goes_on_when_a_node_joins_and_when_it_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    make_sample(tmp_path / "data", images=7, val_images=3, short_side=96)
    run, output = tmp_path / "run", tmp_path / "first.txt"
    words = [*kills.train_words(tmp_path / "data", run), "training.steps=300"]
    options = ("--max-restarts=3", "--rdzv-conf=last_call_timeout=1,keep_alive_interval=1,keep_alive_max_attempt=3")
    with agents() as start:
        first = start("1:2", words, output, *options)
        assert kills.wait_for_step(run, output, first, 0)
        second = start("1:2", words, tmp_path / "second.txt", *options)
        assert kills.wait_for_step(run, output, first, 1)
        while first.poll() is None and len(load_state(run / "last.state")["inside"]["random"]) < 2:
            time.sleep(0.1)  # until both processes have saved the run
        kill(second)
        assert first.wait(timeout=600) == 0, output.read_text()
    text = output.read_text()
    assert "the run was saved by 1 process and is resumed with 2, so it does not continue exactly: sums are rounded" in text
    assert "the run was saved by 2 processes and is resumed with 1" in text
    assert "Images per batch (2), their order and the learning rate stay the same" in text
    assert kills.results(run)["images_seen"] == 300 * kills.BATCH
