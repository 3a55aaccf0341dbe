from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from typing import Any

import pytest
import torch

from detkit.checkpoint import load_checkpoint, load_state
from detkit.data.loader import image_seed
from detkit.preprocess import as_input
from detkit.training.config import EarlyStoppingConfig, EMAConfig, TrainingConfig
from detkit.training.errors import NotFiniteError
from detkit.training.hooks import Hook, Hooks
from detkit.training.loggers.event_files import TensorBoard
from detkit.training.loggers.metrics_file import MetricsFile
from detkit.training.optim.optimizer import AdamWConfig, SGDConfig
from detkit.training.optim.schedule import CosineConfig
from detkit.training.process.clock import CoreClock
from detkit.training.process.random_state import seed_everything
from detkit.training.progress_bar import ProgressBar
from detkit.training.run import Run
from detkit.training.stages import GradientStage, run_stages

MakeRun = Callable[..., Run]


def stage(steps: int = 12, optimizer: Any = None, **training: Any) -> GradientStage:
    config = TrainingConfig(steps=steps, evaluations=2, precision="fp32", ema=EMAConfig(decay=0.9, warmup_steps=5), **training)
    return GradientStage(config, optimizer or SGDConfig(lr=0.1, reference_batch_size=4), CosineConfig())


def evaluation_of(values: list[float]) -> Callable[..., dict[str, float]]:
    """Return an evaluation that draws random numbers, which must not disturb the training, and returns the next value."""
    remaining = list(values)

    def evaluate(model: torch.nn.Module, step: int) -> dict[str, float]:
        torch.rand(step + 1)
        assert not model.training
        return {"AP": remaining.pop(0) if remaining else 0.0}

    return evaluate


def test_the_loss_falls_and_the_files_are_written(toy_run: MakeRun) -> None:
    run = toy_run(evaluate=evaluation_of([0.1, 0.4]))
    run.hooks = Hooks((MetricsFile(run.folder.metrics), TensorBoard(run.folder.path / "tensorboard"), ProgressBar()))
    end = run_stages(run, [stage(60, log_every=10)])
    rows = [json.loads(line) for line in run.folder.metrics.read_text().splitlines()]
    totals = [row["losses"]["total"] for row in rows if "losses" in row]
    assert len(totals) == 6
    assert totals[-1] < 0.8 * totals[0]
    assert rows[-1] == {"step": 60, "evaluation": {"AP": 0.4}}
    assert end.reason == "finished"
    assert end.best_numbers == {"AP": 0.4}
    assert run.images_seen == 240
    assert load_checkpoint(run.folder.best).header["metrics"] == {"AP": 0.4}
    assert {p.name for p in run.folder.images.iterdir()} == {"train_batch_1.jpg", "train_batch_2.jpg"}
    assert any((run.folder.path / "tensorboard").iterdir())


class Interrupt:
    """Sends a signal to this process after some steps."""

    def __init__(self, at: int) -> None:
        self.at = at

    def after_step(self, step: int, progress: float) -> None:
        if step == self.at:
            os.kill(os.getpid(), signal.SIGTERM)

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *values: None


@pytest.mark.parametrize("optimizer", [SGDConfig(lr=0.1, reference_batch_size=4), AdamWConfig(lr=0.01, reference_batch_size=4)])
@pytest.mark.parametrize("cut", [1, 5, 6, 11])
def test_resuming_continues_bit_for_bit(toy_run: MakeRun, cut: int, optimizer: Any) -> None:
    seed_everything(5)
    whole = toy_run("whole", evaluate=evaluation_of([0.2, 0.1]))
    run_stages(whole, [stage(optimizer=optimizer, accumulation_steps=2)])
    seed_everything(5)
    first = toy_run("cut", evaluate=evaluation_of([0.2, 0.1]), hooks=Interrupt(cut))
    assert run_stages(first, [stage(optimizer=optimizer, accumulation_steps=2)]).reason == "SIGTERM"
    assert load_state(first.folder.state)["inside"]["step"] == cut
    seed_everything(99)
    torch.rand(7)
    again = toy_run("cut", evaluate=evaluation_of([0.2, 0.1] if cut < 6 or cut == 6 else [0.1]))
    end = run_stages(again, [stage(optimizer=optimizer, accumulation_steps=2)], resume=True)
    assert end.steps == 12
    one, two = load_state(whole.folder.state), load_state(again.folder.state)
    assert one["images_seen"] == two["images_seen"] == 96
    for key in ("detector", "optimizer", "ema", "keeper", "random"):
        assert equal(one["inside"][key], two["inside"][key]), key
    assert load_checkpoint(again.folder.best).header["step"] == 6


def equal(a: Any, b: Any) -> bool:
    """Return whether two nested states are bit-identical."""
    if isinstance(a, torch.Tensor):
        return bool(torch.equal(a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b)


def test_different_seeds_give_different_weights(toy_run: MakeRun) -> None:
    seed_everything(5)
    one, two = toy_run("one"), toy_run("two")
    two.seed = 1
    run_stages(one, [stage()])
    run_stages(two, [stage()])
    assert not equal(one.detector.state_dict(), two.detector.state_dict())


def test_accumulating_two_batches_is_the_mean_of_their_gradients(toy_run: MakeRun) -> None:
    rule = SGDConfig(lr=0.1, reference_batch_size=8, momentum=0.0, weight_decay=0.0)
    run, manual = toy_run("one"), toy_run("two").detector
    run.detector.dropout.p = manual.dropout.p = 0.0  # type: ignore[union-attr]
    config = TrainingConfig(steps=1, accumulation_steps=2, precision="fp32", channels_last=False)
    run_stages(run, [GradientStage(config, rule, CosineConfig(warmup_steps=0))])
    manual.train()
    for _, batch in zip(range(2), run.data.batches(0), strict=False):
        seeds = [image_seed(0, 0, image_id) for image_id in batch.image_ids]
        losses = manual([as_input(image, run.preprocess) for image in batch.images], batch.targets, None, seeds)
        (sum(losses.values()) / 2).backward()  # type: ignore[union-attr]
    for (name, moved), start in zip(run.detector.named_parameters(), manual.parameters(), strict=True):
        torch.testing.assert_close(moved, start - 0.1 * start.grad, msg=name)


def test_clipping_limits_the_step(toy_run: MakeRun) -> None:
    run = toy_run()
    before = run.detector.head.weight.detach().clone()  # type: ignore[union-attr]
    config = TrainingConfig(steps=1, clip_grad_norm=1e-3, precision="fp32")
    schedule = CosineConfig(warmup_steps=0)
    run_stages(run, [GradientStage(config, SGDConfig(lr=1.0, momentum=0.0, weight_decay=0.0, lr_scaling="none"), schedule)])
    moved = (run.detector.head.weight - before).norm()  # type: ignore[union-attr]
    assert 0 < moved <= 1.001e-3


def test_a_non_finite_loss_stops_the_run_and_leaves_the_weights_valid(toy_run: MakeRun) -> None:
    run = toy_run()
    run_stages(run, [stage(3)])
    kept = run.folder.last.read_bytes()
    run.detector.poison = float("nan")
    before = {name: value.clone() for name, value in run.detector.named_parameters()}
    with pytest.raises(NotFiniteError, match=r"step 0: not finite: box = nan; images: image_0.jpg, .*; learning rate .*not_finite.json"):
        run_stages(run, [stage(3)])
    for name, value in run.detector.named_parameters():
        assert torch.equal(value, before[name]), name
    assert run.folder.last.read_bytes() == kept
    replay = json.loads(run.folder.failed_batch.read_text())
    assert [row["image_id"] for row in replay["samples"]] == [0, 1, 2, 3]
    assert replay["terms"] == {"box": "nan"}


def test_early_stopping(toy_run: MakeRun) -> None:
    run = toy_run(evaluate=evaluation_of([0.5, 0.5004, 0.5008, 0.7]))
    rule = EarlyStoppingConfig(patience=2, min_gain=0.001)
    config = TrainingConfig(steps=40, evaluations=10, early_stopping=rule, precision="fp32")
    end = run_stages(run, [GradientStage(config, SGDConfig(), CosineConfig())])
    assert end.reason == "early stop"
    assert end.steps == 12
    assert end.best_step == 12  # the best checkpoint is updated even if the gain is too small to count


class Ticking(CoreClock):
    """A clock that advances by ``tick`` core-minutes on every call."""

    now = 0.0

    def __init__(self, tick: float = 0.01) -> None:
        super().__init__()
        self.tick = tick

    def minutes(self) -> float:
        self.now += self.tick
        return self.now


def test_a_budget_ends_the_run_and_the_schedule_follows_it(toy_run: MakeRun) -> None:
    run = toy_run(evaluate=evaluation_of([0.1] * 5), clock=Ticking())
    run.hooks = Hooks((MetricsFile(run.folder.metrics),))
    config = TrainingConfig(budget=1.0, evaluations=5, log_every=1, precision="fp32")
    end = run_stages(run, [GradientStage(config, SGDConfig(lr_scaling="none", lr=1.0), CosineConfig(warmup_steps=2, final_factor=0.0))])
    rows = [json.loads(line) for line in run.folder.metrics.read_text().splitlines()]
    rates = [row["lr"] for row in rows if "lr" in row]
    end_minutes = load_state(run.folder.state)["core_minutes"]
    assert end.reason == "budget"
    assert 50 < end.steps < 100
    assert sum("evaluation" in row for row in rows) == 5
    assert max(rates) > 0.95
    assert rates[-1] < 0.01
    assert 0.9 < end_minutes <= 1.0


@pytest.mark.parametrize(
    ("limits", "warning"),
    [
        (
            {"steps": 400},
            r"warning: the budget ended the training after \d+ of the 400 steps .* the learning rate is still [89]\d % of its peak",
        ),
        ({"steps": 400, "schedule_by": "budget"}, None),
        ({}, None),
        ({"steps": 3}, None),
    ],
)
def test_a_budget_that_cuts_a_schedule_by_steps_is_reported(
    toy_run: MakeRun, limits: dict[str, Any], warning: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    config = TrainingConfig(budget=1.0, evaluations=1, precision="fp32", **limits)
    end = run_stages(toy_run(clock=Ticking()), [GradientStage(config, SGDConfig(), CosineConfig(warmup_steps=2, final_factor=0.0))])
    assert end.reason == ("finished" if limits == {"steps": 3} else "budget")
    lines = [record.getMessage() for record in caplog.records if "warning" in record.getMessage()]
    assert len(lines) == (warning is not None)
    assert warning is None or re.match(warning, lines[0])


def test_stages_share_a_budget_and_leave_the_rest_to_later_ones(toy_run: MakeRun) -> None:
    run = toy_run(evaluate=evaluation_of([0.1] * 9), clock=Ticking(0.05))
    run.budget = 4.0
    short, long = TrainingConfig(steps=3, evaluations=1, precision="fp32"), TrainingConfig(budget=4.0, evaluations=1, precision="fp32")
    shares = ((short, 0.5), (long, 0.25), (long, None))
    stages = [GradientStage(training, SGDConfig(), CosineConfig(), budget_share=share) for training, share in shares]
    ends: list[float] = []

    class Ends(Hook):
        def close(self) -> None:
            ends.append(run.clock.minutes())

    run.hooks = Ends()
    assert run_stages(run, stages).reason == "budget"
    first, second, third = ends
    assert first < 1.0  # three steps
    # Its own quarter, and nearly all of the first stage's half. Every call of this clock takes time, even after the last measured one.
    assert 2.5 < second <= 3.3
    assert 3.5 < third <= 4.3


def test_a_finished_run_continues_when_its_limit_is_raised(toy_run: MakeRun) -> None:
    run = toy_run(evaluate=evaluation_of([0.1, 0.2]))
    run_stages(run, [stage(4)])
    more = toy_run(evaluate=evaluation_of([0.3, 0.4]))
    end = run_stages(more, [stage(8)], resume=True)
    assert end.steps == 8
    assert more.images_seen == 32
    assert end.numbers == {"AP": 0.3}


def test_a_frozen_prefix_is_not_trained(toy_run: MakeRun) -> None:
    run = toy_run()
    before = run.detector.backbone[0].weight.detach().clone()  # type: ignore[index,union-attr]
    config = TrainingConfig(steps=3, precision="fp32")
    run_stages(run, [GradientStage(config, SGDConfig(), CosineConfig(), frozen=("backbone.0",))])
    assert torch.equal(run.detector.backbone[0].weight, before)  # type: ignore[index,union-attr]


def test_bf16_trains(toy_run: MakeRun) -> None:
    run = toy_run()
    config = TrainingConfig(steps=3, precision="bf16")
    assert run_stages(run, [GradientStage(config, SGDConfig(), CosineConfig())]).steps == 3
    assert run.detector.head.weight.dtype == torch.float32
