"""Runs in fp16, and runs resumed in another precision. A CPU can compute in fp16, although users may not request it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
import torch

from detkit.checkpoint import load_state, save_state
from detkit.training import trainer
from detkit.training.config import TrainingConfig
from detkit.training.errors import NotFiniteError
from detkit.training.hooks import Hook
from detkit.training.optim.optimizer import SGDConfig
from detkit.training.optim.schedule import CosineConfig
from detkit.training.run import Run
from detkit.training.stages import GradientStage, run_stages

MakeRun = Callable[..., Run]


class Interrupt(Hook):
    """Interrupts this process after two steps."""

    def after_step(self, step: int, progress: float) -> None:
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("clip_grad_norm", [None, 1.0])
def test_fp16_whose_gradient_is_never_finite_stops(toy_run: MakeRun, monkeypatch: pytest.MonkeyPatch, clip_grad_norm: float | None) -> None:
    monkeypatch.setattr(trainer, "resolve_precision", lambda requested, device: "fp16")
    run = toy_run()
    original = run.detector.forward

    def forward(*given: Any) -> dict[str, torch.Tensor]:
        return {**original(*given), "root": (run.detector.head.weight * 0).sum().sqrt()}  # type: ignore[union-attr]  # 0 with an infinite slope

    monkeypatch.setattr(run.detector, "forward", forward)
    config = TrainingConfig(steps=40, evaluations=1, clip_grad_norm=clip_grad_norm)
    with pytest.raises(NotFiniteError, match="step 17: not finite: the gradient norm = nan"):  # 2 ** -17 times 65,536 is below 1
        run_stages(run, [GradientStage(config, SGDConfig(), CosineConfig())])


def test_fp16_continues_after_gradients_that_its_scale_made_infinite(toy_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "resolve_precision", lambda requested, device: "fp16")
    run = toy_run()
    before = run.detector.head.weight.detach().clone()  # type: ignore[union-attr]
    original = run.detector.forward
    # A gradient that exceeds fp16's range with a scale above 8.
    monkeypatch.setattr(run.detector, "forward", lambda *given: {k: 5e3 * v for k, v in original(*given).items()})
    rule = SGDConfig(lr=1e-6, lr_scaling="none")
    assert run_stages(run, [GradientStage(TrainingConfig(steps=30, evaluations=1), rule, CosineConfig())]).reason == "finished"
    assert load_state(run.folder.state)["inside"]["scaler"]["scale"] < 65536
    assert run.detector.head.weight.isfinite().all()  # type: ignore[union-attr]
    assert not torch.equal(run.detector.head.weight, before)  # type: ignore[union-attr]


@pytest.mark.parametrize(("before", "after"), [("bf16", "fp16"), ("fp16", "bf16"), ("fp16", "fp16")])
def test_a_run_can_be_resumed_in_another_precision(
    toy_run: MakeRun, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, before: str, after: str
) -> None:
    auto = TrainingConfig(steps=4, evaluations=1)
    monkeypatch.setattr(trainer, "resolve_precision", lambda requested, device: before)
    run = toy_run("run", hooks=Interrupt())
    run_stages(run, [GradientStage(auto, SGDConfig(), CosineConfig())])
    assert load_state(run.folder.state)["inside"]["precision"] == before
    monkeypatch.setattr(trainer, "resolve_precision", lambda requested, device: after)
    assert run_stages(toy_run("run"), [GradientStage(auto, SGDConfig(), CosineConfig())], resume=True).reason == "finished"
    warning = f"warning: the run was saved in {before} and is resumed in {after}, so it does not continue exactly"
    assert caplog.messages.count(warning) == (before != after)


def test_a_state_without_a_recorded_precision_can_be_resumed(toy_run: MakeRun) -> None:
    stages = [GradientStage(TrainingConfig(steps=2, evaluations=1, precision="fp32"), SGDConfig(), CosineConfig())]
    run = toy_run("run")
    run_stages(run, stages)
    state = load_state(run.folder.state)
    del state["inside"]["precision"]
    save_state(run.folder.state, state)
    assert run_stages(toy_run("run"), stages, resume=True).reason == "finished"
