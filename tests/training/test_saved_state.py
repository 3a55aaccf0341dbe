"""Damaged and foreign states of a run: one sentence that names the file, before or while the run resumes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from detkit.checkpoint import load_state, save_state
from detkit.training.config import EMAConfig, TrainingConfig
from detkit.training.optim.optimizer import SGDConfig
from detkit.training.optim.schedule import CosineConfig
from detkit.training.run import Run
from detkit.training.stages import GradientStage, run_stages

MakeRun = Callable[..., Run]
STAGES = [
    GradientStage(
        TrainingConfig(steps=4, evaluations=1, precision="fp32", ema=EMAConfig()), SGDConfig(lr=0.1, reference_batch_size=4), CosineConfig()
    )
]


def momentum(state: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = next(iter(state["inside"]["optimizer"]["state"].values()))
    return values


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no stage": lambda state: state.pop("stage"),
    "negative stage": lambda state: state.update(stage=-1),
    "stage as text": lambda state: state.update(stage="first"),
    "classes as a number": lambda state: state.update(class_names=7),
    "images as text": lambda state: state.update(images_seen="many"),
    "minutes not a number": lambda state: state.update(core_minutes=float("nan")),
    "parts as a list": lambda state: state.update(parts=[1]),
    "data as a list": lambda state: state.update(data=[1]),
    "inside as a list": lambda state: state.update(inside=[]),
    "no step": lambda state: state["inside"].pop("step"),
    "a step of a trillion": lambda state: state["inside"].update(step=10**12),
    "a step as a float": lambda state: state["inside"].update(step=2.5),
    "no detector": lambda state: state["inside"].pop("detector"),
    "other tensors": lambda state: state["inside"].update(detector={"other": torch.zeros(2)}),
    "other shapes": lambda state: state["inside"]["detector"].update({"head.weight": torch.zeros(1)}),
    "numbers for tensors": lambda state: state["inside"]["detector"].update({"head.weight": 1}),
    "no optimizer": lambda state: state["inside"].pop("optimizer"),
    "optimizer without groups": lambda state: state["inside"].update(optimizer={}),
    "learning rate as text": lambda state: state["inside"]["optimizer"]["param_groups"][0].update(base_lr="high"),
    "momentum of another shape": lambda state: momentum(state).update(momentum_buffer=torch.zeros(3)),
    "average of nothing": lambda state: state["inside"].update(ema={}),
    "evaluations without the best": lambda state: state["inside"].update(keeper={"run": 1}),
    "the best as text": lambda state: state["inside"]["keeper"].update(best_numbers="all"),
    "no random states": lambda state: state["inside"].pop("random"),
    "random states of another kind": lambda state: state["inside"].update(random=[{"python": 1}]),
    "random states without torch's": lambda state: state["inside"]["random"][0].pop("torch"),
}


@pytest.fixture
def finished(toy_run: MakeRun) -> Run:
    run = toy_run(evaluate=lambda model, step: {"AP": 0.5})
    run_stages(run, STAGES)
    return run


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_foreign_state_is_one_sentence(toy_run: MakeRun, finished: Run, change: Callable[[dict[str, Any]], Any]) -> None:
    state = load_state(finished.folder.state)
    change(state)
    save_state(finished.folder.state, state)
    again = toy_run(evaluate=lambda model, step: {"AP": 0.5})
    with pytest.raises(ValueError, match="last.state") as error:
        run_stages(again, STAGES, resume=True)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000


def test_an_untouched_state_resumes(toy_run: MakeRun, finished: Run) -> None:
    again = toy_run(evaluate=lambda model, step: {"AP": 0.5})
    assert run_stages(again, STAGES, resume=True).steps == 4


@pytest.mark.parametrize("content", [b"", b"\x80\x02", b"PK\x03\x04", b"garbage" * 100, b"[" * 1000])
def test_a_damaged_state_is_one_sentence(finished: Run, content: bytes) -> None:
    finished.folder.state.write_bytes(content)
    with pytest.raises(ValueError, match="last.state") as error:
        load_state(finished.folder.state)
    assert "\n" not in str(error.value)
    assert "weights=FILE" in str(error.value)
