from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import detkit

pytestmark = pytest.mark.slow  # each process imports PyTorch
Results = list[dict[str, Any]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Results of each of two processes."""
    folder = tmp_path_factory.mktemp("two")
    environment = {**os.environ, "PYTHONPATH": str(Path(detkit.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    script = str(Path(__file__).resolve().parents[1] / "two_processes.py")
    processes = [subprocess.Popen([sys.executable, script, str(rank), str(folder)], env=environment) for rank in range(2)]
    try:
        assert [process.wait(timeout=120) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def test_a_loss_that_is_not_finite_ends_every_process(results: Results) -> None:
    first, second = (one["error"] for one in results)
    assert first.startswith("step 0: not finite: a loss of another process = nan; images: ")
    assert second.startswith("step 0: not finite: box = nan; images: ")


@pytest.mark.parametrize("model", ["plain", "mean"])
def test_every_process_evaluates_the_model_of_the_first(results: Results, model: str) -> None:
    assert results[0][model] == 0


def test_processes_restart_the_last_part_of_a_training_together(results: Results) -> None:
    for last_part in (one["last_part"] for one in results):
        assert last_part["used"] == ["a0", "a1", "a2", "a3", "a4", "a5", "b6", "b7"]
        assert last_part["difference"] == 0
        assert last_part["restarted"]
        assert last_part["updates"] == 6  # four until the best evaluation, and the last two
