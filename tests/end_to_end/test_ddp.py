from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from detkit.checkpoint import load_checkpoint, load_state
from detkit.experiment import Experiment, train

Tiny = Callable[..., Experiment]


def torchrun(file: Path, *arguments: str) -> str:
    """Train with two gloo processes and return the output."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [*launcher, "-m", "detkit", "train", *([str(file)] if file.suffix else []), *arguments, "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FutureWarning" not in done.stderr, done.stderr  # about a renamed option of PyTorch
    return done.stdout


@pytest.mark.slow
def test_two_processes_with_one_image_each_equal_one_with_two(tiny: Tiny, tmp_path: Path) -> None:
    alone = train(tiny("alone", steps=3, evaluations=1, ema=None), device="cpu", progress=False)
    file = tmp_path / "two.json"
    file.write_text(tiny("two", steps=3, evaluations=1).to_json())
    out = torchrun(file)
    assert out.count("finished after 3 steps, 6 images") == 1  # only one process prints
    one, two = load_checkpoint(alone.folder / "last.safetensors"), load_checkpoint(tmp_path / "two" / "last.safetensors")
    for name, tensor in one.tensors.items():
        torch.testing.assert_close(two.tensors[name], tensor, rtol=0, atol=1e-5, msg=name)
    assert two.header["metrics"].keys() == one.header["metrics"].keys()
    assert len(load_state(tmp_path / "two" / "last.state")["inside"]["random"]) == 2
    initial = tiny().model.build(2).state_dict()
    assert any(not torch.equal(initial[name], tensor) for name, tensor in one.tensors.items())


@pytest.mark.slow
def test_processes_accumulate_and_resume(tiny: Tiny, tmp_path: Path) -> None:
    limits = {"steps": 2, "evaluations": 1, "accumulation_steps": 2}
    alone = train(tiny("alone", **limits), device="cpu", progress=False)
    file = tmp_path / "two.json"
    file.write_text(tiny("two", **limits).to_json())
    torchrun(file)
    one, two = load_checkpoint(alone.folder / "last.safetensors").tensors, load_checkpoint(tmp_path / "two" / "last.safetensors").tensors
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=0, atol=1e-5, msg=name)
    out = torchrun(file, "training.steps=3", "--resume", str(tmp_path / "two"))
    assert "resuming after step 2" in out
    assert "finished after 3 steps, 12 images" in out
