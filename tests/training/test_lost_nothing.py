"""Evaluations and writes that fail or are interrupted: what was trained is kept, and a resumed run ends like an undisturbed one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from detkit.checkpoint import load_checkpoint, load_state
from detkit.data.dataset import SampleError
from detkit.data.loader_errors import LoaderError, WaitInterrupted
from detkit.training import checkpointer
from detkit.training.config import TrainingConfig
from detkit.training.optim.optimizer import SGDConfig
from detkit.training.optim.schedule import CosineConfig
from detkit.training.process.clock import CoreClock
from detkit.training.process.random_state import seed_everything
from detkit.training.run import EvaluationStopped, Run, RunData
from detkit.training.stages import GradientStage, run_stages

MakeRun = Callable[..., Run]


def stages(steps: int = 6, **training: Any) -> list[GradientStage]:
    config = TrainingConfig(**{"steps": steps, "evaluations": 2, "precision": "fp32", **training})
    return [GradientStage(config, SGDConfig(lr=0.1, reference_batch_size=4), CosineConfig())]


def norm(model: torch.nn.Module, step: int) -> dict[str, float]:
    """An evaluation that depends on the weights alone."""
    return {"AP": -float(sum(p.detach().square().sum() for p in model.parameters()))}


def whole_run(toy_run: MakeRun, **training: Any) -> Run:
    seed_everything(5)
    run = toy_run("whole", evaluate=norm)
    run_stages(run, stages(**training))
    return run


def assert_ends_alike(one: Run, two: Run) -> None:
    for path in ("best", "last"):
        first, second = (load_checkpoint(getattr(run.folder, path)) for run in (one, two))
        assert first.header["step"] == second.header["step"]
        assert first.header["metrics"] == second.header["metrics"]
        for name, tensor in first.tensors.items():
            assert torch.equal(tensor, second.tensors[name]), (path, name)


class Failing:
    """An evaluation that fails or is stopped at its first call."""

    def __init__(self, error: BaseException) -> None:
        self.error: BaseException | None = error

    def __call__(self, model: torch.nn.Module, step: int) -> dict[str, float]:
        error, self.error = self.error, None
        if error is not None:
            raise error
        return norm(model, step)


def test_a_failed_first_evaluation_loses_no_step(toy_run: MakeRun) -> None:
    whole = whole_run(toy_run)
    seed_everything(5)
    first = toy_run("cut", evaluate=Failing(KeyError("a fault of the evaluation")))
    with pytest.raises(KeyError):
        run_stages(first, stages())
    assert load_state(first.folder.state)["inside"]["step"] == 3
    assert not first.folder.best.exists()
    again = toy_run("cut", evaluate=norm)
    run_stages(again, stages(), resume=True)
    assert_ends_alike(whole, again)


def test_an_evaluation_that_is_stopped_is_repeated(toy_run: MakeRun) -> None:
    whole = whole_run(toy_run)
    seed_everything(5)
    first = toy_run("cut", evaluate=Failing(EvaluationStopped()))
    end = run_stages(first, stages())
    assert (end.interrupted, end.steps, end.numbers) == (True, 3, {})
    assert load_state(first.folder.state)["inside"]["evaluations"] == 0
    again = toy_run("cut", evaluate=norm)
    run_stages(again, stages(), resume=True)
    assert_ends_alike(whole, again)


@pytest.mark.parametrize("failing", ["best.safetensors", "last.safetensors"])
def test_a_checkpoint_that_could_not_be_written_is_written_by_the_resumed_run(
    toy_run: MakeRun, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """The first evaluation is the best one: its weights are in the state alone."""
    whole = whole_run(toy_run, steps=4)
    best = load_checkpoint(whole.folder.best).header["step"]
    seed_everything(5)
    run = toy_run("cut", evaluate=norm)
    original = checkpointer.save_checkpoint

    def full(path: Path, *values: Any) -> None:
        if path.name == failing and run.folder.state.exists() and load_state(run.folder.state)["inside"]["evaluations"] == best // 2:
            raise OSError(28, "No space left on device")
        original(path, *values)

    with monkeypatch.context() as patch:
        patch.setattr(checkpointer, "save_checkpoint", full)
        with pytest.raises(OSError, match="No space left"):
            run_stages(run, stages(steps=4))
    again = toy_run("cut", evaluate=norm)
    run_stages(again, stages(steps=4), resume=True)
    assert_ends_alike(whole, again)


def test_the_state_is_not_written_twice_within_a_minute(toy_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    monkeypatch.setattr(checkpointer, "save_state", lambda path, state: written.append(state["inside"]["step"]))
    run_stages(toy_run(evaluate=norm), stages(steps=6, evaluations=3))
    assert written == [2, 2, 4, 6]  # before and after the first evaluation, then after each
    written.clear()
    monkeypatch.setattr(checkpointer, "_UNSAVED_SECONDS", -1.0)
    run_stages(toy_run("late", evaluate=norm), stages(steps=6, evaluations=3))
    assert written == [2, 2, 4, 4, 6, 6]


def test_wall_minutes_count_all_sessions(toy_run: MakeRun) -> None:
    clock = CoreClock()
    clock.add_previous(0.0, wall=10.0)
    run_stages(toy_run(clock=clock), stages())
    run = toy_run()
    run_stages(run, stages(8), resume=True)
    assert 10.0 < run.clock.wall_minutes() < 11.0


@pytest.mark.parametrize("error", [SampleError("0.jpg: the file is empty"), LoaderError("a worker process of the loader was killed")])
def test_a_batch_that_cannot_be_made_loses_no_step(toy_run: MakeRun, error: Exception) -> None:
    whole = whole_run(toy_run)
    seed_everything(5)
    run = toy_run("cut", evaluate=norm)
    batches = run.data.batches

    def broken(start: int) -> Any:
        for step, batch in enumerate(batches(start), start=start):
            if step == 2:
                raise error
            yield batch

    run.data = RunData(broken, 4, 12, norm)
    with pytest.raises(type(error), match=str(error)):
        run_stages(run, stages())
    assert load_state(run.folder.state)["inside"]["step"] == 2
    again = toy_run("cut", evaluate=norm)
    run_stages(again, stages(), resume=True)
    assert_ends_alike(whole, again)


def test_a_signal_that_arrives_while_waiting_for_a_batch_ends_the_run_at_its_last_step(toy_run: MakeRun) -> None:
    run = toy_run("cut", evaluate=norm)
    batches = run.data.batches

    def stuck(start: int) -> Any:
        for step, batch in enumerate(batches(start), start=start):
            if step == 2:
                os.kill(os.getpid(), signal.SIGTERM)
                raise WaitInterrupted
            yield batch

    run.data = RunData(stuck, 4, 12, norm)
    end = run_stages(run, stages())
    assert (end.reason, end.interrupted, end.steps) == ("SIGTERM", True, 2)
    assert load_state(run.folder.state)["inside"]["step"] == 2
