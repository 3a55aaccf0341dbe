"""The training loop: steps, evaluations and checkpoints; a run can be interrupted at any step and resumed exactly."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from detkit.data.loader import SampleBatch, SampleError, image_seed
from detkit.data.loader_errors import LoaderError, WaitInterrupted, explain_worker_errors
from detkit.data.phases import PhasedBatches
from detkit.models.detector import Detector
from detkit.structures import Proposals, Targets
from detkit.training.checkpointer import Checkpointer
from detkit.training.config import TrainingConfig
from detkit.training.errors import explain_norm_errors, explain_out_of_memory, non_finite_error, non_finite_terms
from detkit.training.hooks import Record
from detkit.training.meter import Meter
from detkit.training.multi_scale import batch_inputs
from detkit.training.optim.ema import EMA
from detkit.training.optim.optimizer import AdamWConfig, SGDConfig, build_optimizer, current_lr, set_lr
from detkit.training.optim.precision import MixedPrecision, resolve_precision, use_channels_last
from detkit.training.optim.schedule import AnySchedule
from detkit.training.optim.trained_state import EMARestart, TrainedState
from detkit.training.optim.unfreeze import Unfreezing
from detkit.training.process.elastic import changed_processes
from detkit.training.process.random_state import random_state, restore_random_state
from detkit.training.process.replicas import broadcast_buffers, gradient_sync, wrap_distributed
from detkit.training.progress import BUDGET_CUT_WARNING, Progress
from detkit.training.run import EvaluationStopped, Run
from detkit.training.saved_state import explain_foreign_state

_log = logging.getLogger(__name__)


class Trainer:
    """Train a run's detector by gradient steps until it is finished, a limit is reached, or a signal is received.

    Args:
        run: The model, the data and the folder.
        config: Limits, precision, evaluations and checkpoints.
        optimizer: The optimizer.
        schedule: The learning rate schedule.
    """

    def __init__(self, run: Run, config: TrainingConfig, optimizer: SGDConfig | AdamWConfig, schedule: AnySchedule) -> None:
        self.run, self.config, self.schedule = run, config, schedule
        images = self._images_per_step()
        precision = resolve_precision(config.precision, run.device)
        adapters = run.distilled.adapters if run.distilled else nn.ModuleList()
        if config.channels_last:
            for part in (run.detector, adapters):  # otherwise the gradients are channels-last and the weights are not, and DDP would copy
                use_channels_last(part)
        self.unfreezing = Unfreezing(run.detector, config.unfreeze) if config.unfreeze else None
        with self.unfreezing.all_trainable() if self.unfreezing else nullcontext():
            self.optimizer = build_optimizer(run.detector, optimizer, images, tuple(adapters.parameters()))
        self.mixed = MixedPrecision(precision, run.device)
        self.ema = EMA(run.detector, config.ema) if config.ema else None
        self.trained = TrainedState(run.detector, self.optimizer, self.ema, adapters)
        restart = config.ema.restart if config.ema else None
        self.restart = EMARestart(restart, self.trained, run.folder.best_state) if restart else None
        self.network = self._wrapped()
        self.progress = Progress(config.total_steps(run.data.images, images), self._budget(), config.follows_budget)
        if run.evaluation_minutes:
            self.progress.reserve_evaluation(run.evaluation_minutes)  # measured in an earlier stage
        self.checkpointer = Checkpointer(run, config)
        self.meter = Meter()
        self.step = self.evaluations = 0
        self._random: list[dict[str, Any]] = []
        _log.info("%s", optimizer.describe_lr(images))
        _log.info("precision %s on %s; %s", precision, run.device, self.progress.limits())

    def fit(self) -> str:
        """Train, and return why it ended: ``finished``, ``budget``, ``early stop``, or the name of a signal.

        Raises:
            NotFiniteError: If a loss is not finite.
        """
        self.run.hooks.start(self.step, self.run.stage)
        try:
            with explain_worker_errors():
                return self._loop()
        except (WaitInterrupted, EvaluationStopped):  # nothing of the interrupted step or evaluation has happened
            self.save()
            return self._signal()
        finally:
            self.run.hooks.close()

    def _loop(self) -> str:
        batches = self.run.data.phased_batches()
        batches.start(self.step * self.config.accumulation_steps, self.progress.fraction)
        if self._random:
            with explain_foreign_state(self.run.folder.state, self.run.folder.last):
                restore_random_state(self._random[self.run.processes.rank % len(self._random)])
        self.run.detector.train()
        while True:
            minutes, signaled, save_due = self._synchronize()
            over = self.progress.is_over(self.step, minutes - self.run.stage_start_minutes)
            due = self.config.evaluations if over else self.progress.evaluations_due(self.config.evaluations)
            if signaled:
                self.save()
                return self._signal()
            if due > self.evaluations:
                self._evaluate(due, minutes)
            elif save_due:
                self.save()
            if over:
                return self._end_reason()
            if self.checkpointer.should_stop():
                return "early stop"
            self._train_step(batches, minutes)

    def _signal(self) -> str:
        return self.run.signals.received or "SIGTERM"

    def _end_reason(self) -> str:
        if self.progress.is_finished(self.step):
            return "finished"
        if not self.progress.by_budget:
            factor = self.schedule.factor(self.step, self.progress.fraction)
            _log.warning(BUDGET_CUT_WARNING, self.step, self.progress.total_steps, 100 * factor)
        return "budget"

    def state(self) -> dict[str, Any]:
        """Return the state for :meth:`load`; every process must call it, and that of the first one is complete."""
        return {
            "step": self.step,
            "evaluations": self.evaluations,
            "reserve": self.progress.reserve,
            "frozen_stages": self.unfreezing.frozen if self.unfreezing else None,
            "scaler": self.mixed.scaler.state_dict(),
            "precision": self.mixed.precision,
            "keeper": self.checkpointer.state(),
            "random": self.run.processes.gather(random_state()),
            **self.trained.state(),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Resume exactly from the result of :meth:`state`.

        Raises:
            ValueError: If one of the two runs has an EMA and the other has not.
        """
        if (state["ema"] is None) != (self.ema is None):
            original = "without" if state["ema"] is None else "with"
            raise ValueError(f"training.ema: the run to resume was started {original} an EMA; keep this setting")
        self.step = int(state["step"])
        self.progress.reserve = state["reserve"] if self.progress.budget is not None else 0.0
        self.progress.update(self.step, self.run.minutes() - self.run.stage_start_minutes)
        # If a limit was raised, the evaluations of the longer run that are now ahead are made.
        self.evaluations = min(int(state["evaluations"]), self.progress.evaluations_due(self.config.evaluations))
        self.trained.load(state)
        if self.unfreezing:
            self.unfreezing.restore(int(state["frozen_stages"]))
            self.network = self._wrapped()
        self.mixed.load(state["scaler"], state.get("precision"))
        self.checkpointer.load(state["keeper"])
        self.checkpointer.restore_checkpoints(self.model, self.step)
        self._keep_best_state()
        self._random = list(state["random"])
        saved, world = len(self._random), self.run.processes.world
        if saved != world and self.run.processes.first:
            _log.warning("%s", changed_processes(saved, world, self.run.data.batch_size, self.run.network))

    def save(self) -> None:
        """Write the resumable state and the newest checkpoint; every process must call it."""
        state, minutes = self.state(), self.run.minutes()
        self.checkpointer.save_last(self.model, state, minutes)

    @property
    def model(self) -> Detector:
        """The model that is evaluated and saved: the EMA if there is one."""
        return self.ema.model if self.ema else self.run.detector

    def _synchronize(self) -> tuple[float, bool, bool]:
        """Return, equal in every process: core-minutes of all, whether any received a signal, whether the first wants to save."""
        run = self.run
        save_due = run.processes.first and self.checkpointer.save_due()
        minutes, signals, saves = run.processes.sum(run.clock.minutes(), float(run.signals.received is not None), float(save_due))
        self.progress.update(self.step, minutes - self.run.stage_start_minutes)
        return minutes, signals > 0, saves > 0

    def _train_step(self, batches: PhasedBatches[SampleBatch], minutes: float) -> None:
        if self.restart:
            best_step = None if self.checkpointer.best is None else self.checkpointer.best_step
            self.restart.run(self.progress.fraction, best_step, self.run.folder.last)
        factor = self.schedule.factor(self.step, self.progress.fraction)
        set_lr(self.optimizer, factor)
        self.run.detector.set_progress(self.progress.fraction)
        if self.unfreezing and self.unfreezing.update(self.progress.fraction):
            self.network = self._wrapped()  # DDP must know which parameters have gradients
        started = time.perf_counter()
        samples = self._next_batches(batches)
        waited = time.perf_counter() - started
        self.checkpointer.draw_batch(self.step, samples[0])
        losses = [self._backward(batch, last=index == len(samples) - 1) for index, batch in enumerate(samples)]
        self._update_weights(losses, samples)
        self.step += 1
        self.run.images_seen += self._images_per_step()
        self.meter.step(waited)
        self.run.hooks.after_step(self.step, self.progress.fraction)
        if self.step % self.config.log_every == 0:
            self._record(minutes)

    def _next_batches(self, batches: PhasedBatches[SampleBatch]) -> list[SampleBatch]:
        """Return the batches of a step; if one cannot be made, the run is saved as it was before the step."""
        try:
            count = self.config.accumulation_steps
            return [batches.next(self.step * count + index, self.progress.fraction) for index in range(count)]
        except (SampleError, LoaderError):
            if self.run.processes.world == 1:  # several processes save together
                self.save()
            raise

    def _backward(self, batch: SampleBatch, last: bool) -> dict[str, Tensor]:
        """Return the losses of one batch after adding their gradients."""
        run = self.run
        images, targets, proposals = self._inputs(batch)
        seeds = [image_seed(run.seed, self.step, image_id) for image_id in batch.image_ids]
        labeled = (batch.is_labeled,) if run.distilled else ()
        with gradient_sync(self.network, last), explain_out_of_memory(images, run.device, self.config.accumulation_steps):
            with explain_norm_errors(images), self.mixed.context():
                losses: dict[str, Tensor] = self.network(images, targets, proposals, seeds, *labeled)
            self.mixed.backward(losses, self.config.accumulation_steps)
        self.meter.add(losses)
        return losses

    def _inputs(self, batch: SampleBatch) -> tuple[list[Tensor], list[Targets], list[Proposals] | None]:
        """Return a batch on the device, at the image size of this step."""
        run = self.run
        side = self.config.multi_scale.side(run.seed, self.step, self.progress.fraction) if self.config.multi_scale else None
        return batch_inputs(batch, run.preprocess, run.device, side)

    def _update_weights(self, losses: Sequence[dict[str, Tensor]], batches: Sequence[SampleBatch]) -> None:
        """Make the optimizer step if all losses and gradients are finite."""
        self.mixed.scaler.unscale_(self.optimizer)
        parameters = [p for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None]
        self.norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        total = torch.stack([value.detach().float() for terms in losses for value in terms.values()]).sum()
        if self.run.processes.any_true(self.mixed.must_stop(total, self.norm)):  # the only device synchronization of a step
            raise non_finite_error(
                self.step, non_finite_terms(losses, self.norm), batches, current_lr(self.optimizer), self.run.failed_batch
            )
        if self.config.clip_grad_norm is not None:
            nn.utils.clip_grads_with_norm_(parameters, self.config.clip_grad_norm, self.norm)
        self.mixed.scaler.step(self.optimizer)
        self.mixed.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.ema:
            self.ema.update(self.run.detector)

    def _evaluate(self, due: int, minutes: float) -> None:
        started, run = time.perf_counter(), self.run
        if run.data.evaluate is not None:
            if self.checkpointer.must_save_before_evaluation():
                self.save()
            seconds = self.meter.current_step_seconds()
            run.image_seconds = None if seconds is None else seconds * run.processes.world / self._images_per_step()
            broadcast_buffers(run.processes, run.detector, *([self.ema.model] if self.ema else []))
            numbers = run.evaluate(self.model, self.step)
            run.detector.train()
            self.checkpointer.add_evaluation(numbers, self.step)
            self.run.hooks.evaluation(self.step, numbers)
        self.evaluations = due
        self.save()
        self._keep_best_state()
        after = run.minutes()
        self.progress.reserve_evaluation(after - minutes)
        self.progress.update(self.step, after - run.stage_start_minutes)
        self.meter.pause(time.perf_counter() - started)

    def _keep_best_state(self) -> None:
        """Write the tensors of the best evaluation if it was the one just made; the state of the run, from which they follow, is first."""
        best = self.checkpointer.best is not None and self.checkpointer.best_step == self.step
        if self.restart and not self.restart.is_done and best and self.run.processes.first:
            self.restart.keep(self.step)

    def _record(self, minutes: float) -> None:
        losses, seconds, waiting = self.meter.flush(self.run.processes)
        progress, norm, images = self.progress.fraction, float(self.norm), self.run.images_seen
        self.run.hooks.record(Record(self.step, progress, losses, current_lr(self.optimizer), norm, images, minutes, seconds, waiting))

    def _images_per_step(self) -> int:
        return self.run.data.batch_size * self.config.accumulation_steps

    def _wrapped(self) -> nn.Module:
        return wrap_distributed(self.run.network, self.run.processes, self.run.device)

    def _budget(self) -> float | None:
        """Return the core-minutes of this stage: the smaller of its own limit and what remains of the run's budget."""
        left = None if self.run.deadline is None else max(self.run.deadline - self.run.stage_start_minutes, 1e-6)
        return min((limit for limit in (self.config.budget, left) if limit is not None), default=None)
