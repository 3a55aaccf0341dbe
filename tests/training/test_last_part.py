"""The last part of a training: other batches, other image sizes, and a restart from the best evaluation."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch

from detkit.checkpoint import load_state
from detkit.config import ConfigError
from detkit.data.loader import SampleBatch
from detkit.data.phases import Phase
from detkit.training.config import EMAConfig, EMARestartConfig, TrainingConfig
from detkit.training.hooks import Hook
from detkit.training.multi_scale import MultiScaleConfig
from detkit.training.optim.optimizer import AdamWConfig, SGDConfig
from detkit.training.optim.schedule import FlatCosineConfig
from detkit.training.process.clock import CoreClock
from detkit.training.process.random_state import seed_everything
from detkit.training.run import Run, RunData
from detkit.training.stages import GradientStage, run_stages
from detkit.training.trainer import Trainer

MakeRun = Callable[..., Run]
STEPS = 12
EMA_DECAY, RESTART_DECAY, WARMUP = 0.9, 0.6, 4


class Metrics:
    """Evaluations with given metrics, in the order of their steps; records the steps."""

    def __init__(self, by_step: Mapping[int, float]) -> None:
        self.by_step, self.steps = by_step, []

    def __call__(self, model: torch.nn.Module, step: int) -> dict[str, float]:
        self.steps.append(step)
        return {"AP": self.by_step[step]}


class Recorder(Hook):
    """Keeps copies of the weights after each step, and sends a signal to this process after some steps."""

    def __init__(self, interrupt_at: int = 0) -> None:
        self.interrupt_at = interrupt_at
        self.progress: list[float] = []

    def after_step(self, step: int, progress: float) -> None:
        self.progress.append(progress)
        if step == self.interrupt_at:
            os.kill(os.getpid(), signal.SIGTERM)


PhasedData = Callable[..., RunData]


@pytest.fixture
def phased_data(toy_batches: Callable[[int], Iterator[SampleBatch]]) -> PhasedData:
    """Return a function that makes data whose batches differ by part of the training, and that records which part each batch was of."""

    def make(used: list[tuple[str, int]], evaluate: Any) -> RunData:
        def batches(name: str, shift: int) -> Callable[[int], Iterator[SampleBatch]]:
            def iterate(start: int) -> Iterator[SampleBatch]:
                for step, batch in enumerate(toy_batches(start + shift), start):
                    used.append((name, step))
                    yield batch

            return iterate

        phases = (Phase(0.0, batches("plain", 0)), Phase(0.25, batches("strong", 1)), Phase(0.75, batches("end", 2)))
        return RunData(phases[0].batches, 4, 12, evaluate, phases=phases)

    return make


def config(**values: Any) -> TrainingConfig:
    restart = EMARestartConfig(at=0.75, decay=RESTART_DECAY)
    ema = EMAConfig(decay=EMA_DECAY, warmup_steps=WARMUP, restart=restart)
    scales = MultiScaleConfig(min_size=32, max_size=64, every_steps=1, base_size=32, base_size_repeat=2, between=(0.25, 0.75))
    defaults = {"steps": STEPS, "evaluations": 6, "precision": "fp32", "ema": ema, "multi_scale": scales, "clip_grad_norm": 0.1}
    return TrainingConfig(**{**defaults, **values})


def stage(training: TrainingConfig, optimizer: Any = None) -> GradientStage:
    schedule = FlatCosineConfig(warmup_steps=2, flat_until=0.5, cosine_until=0.75)
    return GradientStage(training, optimizer or SGDConfig(lr=0.1, reference_batch_size=4), schedule)


BEST_IS_SECOND = {2: 0.1, 4: 0.3, 6: 0.2, 8: 0.25, 10: 0.2, 12: 0.22}


def test_batches_and_image_sizes_change_at_their_steps(toy_run: MakeRun, phased_data: PhasedData) -> None:
    used: list[tuple[str, int]] = []
    run = toy_run(data=phased_data(used, Metrics(BEST_IS_SECOND)))
    sizes: list[int] = []
    forward = run.detector.forward
    run.detector.forward = lambda images, *rest: (sizes.append(images[0].shape[-1]), forward(images, *rest))[1]  # type: ignore[method-assign]
    run_stages(run, [stage(config())])
    assert used == [("plain", step) for step in range(3)] + [("strong", step) for step in range(3, 9)] + [
        ("end", step) for step in (9, 10, 11)
    ]
    assert sizes[:3] == [32] * 3
    assert set(sizes[3:9]) == {32, 64}
    assert sizes[9:] == [32] * 3


def test_training_continues_once_from_the_best_evaluation(
    toy_run: MakeRun, phased_data: PhasedData, caplog: pytest.LogCaptureFixture
) -> None:
    run = toy_run(data=phased_data([], Metrics(BEST_IS_SECOND)))
    trainer = Trainer(run, config(), AdamWConfig(lr=0.01, reference_batch_size=4), FlatCosineConfig(warmup_steps=2))
    trained = trainer.trained
    seen: dict[int, Any] = {}
    train_step = trainer._train_step

    def recorded(*arguments: Any) -> None:
        seen[trainer.step] = copied(trained.state())  # before the step
        train_step(*arguments)

    trainer._train_step = recorded  # type: ignore[method-assign]
    restart = trainer.restart.run  # type: ignore[union-attr]
    after: list[Any] = []

    def observed(*arguments: Any) -> None:
        done = trainer.restart.is_done  # type: ignore[union-attr]
        restart(*arguments)
        if trainer.restart.is_done and not done:  # type: ignore[union-attr]
            after.append((trainer.step, copied(trained.state())))

    trainer.restart.run = observed  # type: ignore[union-attr,method-assign]
    with caplog.at_level(logging.INFO, "detkit.training"):
        trainer.fit()
    assert [step for step, _ in after] == [9]
    best, restarted = seen[4], after[0][1]
    for key in ("detector", "optimizer"):
        assert equal(restarted[key], best[key]), key
    assert equal(restarted["ema"]["model"], best["ema"]["model"])
    assert (restarted["ema"]["updates"], restarted["ema"]["restarted"]) == (4, True)
    assert not equal(restarted["detector"], seen[9]["detector"])
    assert [message for message in caplog.messages if "continuing from" in message] == [
        "75 % of the training: continuing from the best evaluation (step 4) with EMA decay 0.6"
    ]
    # the first average after it, by hand: decay * (1 - exp(-updates / warmup_steps)) of the new decay and the fifth update
    decay = RESTART_DECAY * (1 - torch.exp(torch.tensor(-5 / WARMUP)))
    expected = decay * best["ema"]["model"]["head.weight"] + (1 - decay) * seen[10]["detector"]["head.weight"]
    torch.testing.assert_close(seen[10]["ema"]["model"]["head.weight"], expected)


def copied(value: Any) -> Any:
    """Return a copy of a nested state."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, (list, tuple)) else value


def equal(a: Any, b: Any) -> bool:
    """Return whether two nested states are bit-identical."""
    if isinstance(a, torch.Tensor):
        return bool(torch.equal(a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b)


@pytest.mark.parametrize("cut", [4, 9, 10, *(pytest.param(cut, marks=pytest.mark.slow) for cut in (2, 3, 5, 8))])
def test_resuming_continues_bit_for_bit(toy_run: MakeRun, phased_data: PhasedData, cut: int) -> None:
    used: dict[str, list[tuple[str, int]]] = {"whole": [], "cut": []}
    seed_everything(5)
    whole = toy_run("whole", data=phased_data(used["whole"], Metrics(BEST_IS_SECOND)))
    run_stages(whole, [stage(config(), AdamWConfig(lr=0.01))])
    seed_everything(5)
    first = toy_run("cut", data=phased_data(used["cut"], Metrics(BEST_IS_SECOND)), hooks=Recorder(cut))
    assert run_stages(first, [stage(config(), AdamWConfig(lr=0.01))]).reason == "SIGTERM"
    seed_everything(99)
    again = toy_run("cut", data=phased_data(used["cut"], Metrics(BEST_IS_SECOND)))
    assert run_stages(again, [stage(config(), AdamWConfig(lr=0.01))], resume=True).steps == STEPS
    one, two = load_state(whole.folder.state)["inside"], load_state(again.folder.state)["inside"]
    for key in ("detector", "optimizer", "ema", "keeper", "random"):
        assert equal(one[key], two[key]), key
    assert used["cut"] == used["whole"]
    assert not whole.folder.best_state.exists()  # no longer needed
    assert not again.folder.best_state.exists()


def test_the_state_of_the_best_evaluation_is_written_again_if_the_run_was_killed_before(toy_run: MakeRun, phased_data: PhasedData) -> None:
    seed_everything(5)
    whole = toy_run("whole", data=phased_data([], Metrics(BEST_IS_SECOND)))
    run_stages(whole, [stage(config())])
    seed_everything(5)
    first = toy_run("cut", data=phased_data([], Metrics(BEST_IS_SECOND)))
    trainer = Trainer(first, config(), stage(config()).optimizer, stage(config()).schedule)
    assert trainer.restart is not None

    def killed(step: int) -> None:
        if step == 4:
            raise KeyboardInterrupt  # after the state of the run was written
        type(trainer.restart).keep(trainer.restart, step)  # type: ignore[arg-type]

    trainer.restart.keep = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    assert load_state(first.folder.best_state)["step"] == 2
    assert load_state(first.folder.state)["inside"]["step"] == 4
    again = toy_run("cut", data=phased_data([], Metrics(BEST_IS_SECOND)))
    run_stages(again, [stage(config())], resume=True)
    assert equal(load_state(whole.folder.state)["inside"]["detector"], load_state(again.folder.state)["inside"]["detector"])


def test_a_missing_state_of_the_best_evaluation_is_an_error(toy_run: MakeRun, phased_data: PhasedData) -> None:
    run = toy_run(data=phased_data([], Metrics(BEST_IS_SECOND)))

    class Remove(Hook):
        def after_step(self, step: int, progress: float) -> None:
            if step == 8:
                run.folder.best_state.unlink()

    run.hooks = Remove()
    with pytest.raises(ValueError, match=r"training\.ema\.restart: expected the state of the best evaluation, step 4, in .*, got no file"):
        run_stages(run, [stage(config())])


def test_without_evaluations_only_the_decay_changes(toy_run: MakeRun, phased_data: PhasedData, caplog: pytest.LogCaptureFixture) -> None:
    run = toy_run(data=phased_data([], None))
    trainer = Trainer(run, config(), SGDConfig(lr=0.1), FlatCosineConfig(warmup_steps=2))
    with caplog.at_level(logging.INFO, "detkit.training"):
        trainer.fit()
    assert "75 % of the training: continuing from the current weights with EMA decay 0.6" in caplog.messages
    assert trainer.ema is not None
    assert trainer.ema.decay() == pytest.approx(RESTART_DECAY, rel=0.05)
    assert not run.folder.best_state.exists()


class Clock(CoreClock):
    """A clock by which each step takes a minute."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def minutes(self) -> float:
        return self.now


def test_with_a_budget_the_parts_follow_the_core_minutes(toy_run: MakeRun, phased_data: PhasedData) -> None:
    used: list[tuple[str, int]] = []
    metrics = Metrics(dict.fromkeys(range(200), 0.1) | dict.fromkeys(range(20, 60), 0.2))
    clock = Clock()

    class Tick(Recorder):
        def after_step(self, step: int, progress: float) -> None:
            super().after_step(step, progress)
            clock.now += 1.0

    hook = Tick()
    run = toy_run(data=phased_data(used, metrics), hooks=hook, clock=clock, budget=100.0, deadline=100.0)
    training = config(steps=None, budget=100.0, evaluations=10)
    trainer = Trainer(run, training, SGDConfig(lr=0.1), FlatCosineConfig())
    assert trainer.fit() == "budget"
    assert [name for name, _ in used] == ["plain" if p < 0.25 else "strong" if p < 0.75 else "end" for p in hook.progress]
    assert [step for _, step in used] == list(range(len(used)))
    assert {"plain", "strong", "end"} == {name for name, _ in used}
    assert trainer.ema is not None
    assert trainer.ema.restarted
    # a run that is resumed does not restart again
    again = toy_run("again", data=phased_data([], metrics), clock=Clock(), budget=100.0, deadline=100.0)
    resumed = Trainer(again, training, SGDConfig(lr=0.1), FlatCosineConfig())
    resumed.load(trainer.state())
    assert resumed.restart is not None
    assert resumed.restart.is_done


def test_a_restart_needs_an_evaluation_before_it() -> None:
    with pytest.raises(ConfigError, match=r"expected a fraction of the training after the first of 2 evaluations, 0\.5, got 0\.4"):
        TrainingConfig(evaluations=2, ema=EMAConfig(restart=EMARestartConfig(at=0.4)))


def test_base_size_is_drawn_more_often_and_only_within_the_span() -> None:
    scales = MultiScaleConfig(every_steps=1, base_size=640, base_size_repeat=20, between=(0.1, 0.9))
    sides = [scales.side(0, step, 0.5) for step in range(1, 3001)]
    assert set(sides) == set(scales.sizes)
    assert sides.count(640) / len(sides) == pytest.approx(20 / 30, abs=0.03)  # D-FINE-S: 10 other sizes
    assert [scales.side(0, 7, progress) is None for progress in (0.0, 0.09, 0.1, 0.89, 0.9, 1.0)] == [True, True, False, False, True, True]
    with pytest.raises(ConfigError, match="base_size: expected one of 480, 512, .*, got 650"):
        MultiScaleConfig(base_size=650)
