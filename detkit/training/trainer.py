"""The loop: steps, evaluations, and what is kept, so that a run can be cut anywhere and go on exactly."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from detkit.data.loader import SampleBatch, image_seed
from detkit.preprocess import as_input
from detkit.structures import Proposals, Size, Targets
from detkit.training.checkpointer import Checkpointer
from detkit.training.config import TrainingConfig
from detkit.training.ema import EMA
from detkit.training.errors import bad_terms, norms_explained, not_finite
from detkit.training.hooks import Record
from detkit.training.meter import Meter
from detkit.training.multi_scale import new_sizes, resized_image, resized_rows
from detkit.training.optimizer import AdamWConfig, SGDConfig, build_optimizer, set_rate
from detkit.training.precision import MixedPrecision, resolve_precision
from detkit.training.progress import CUT_SHORT, Progress
from detkit.training.random_state import random_state, restore_random_state
from detkit.training.replicas import distributed, share_buffers
from detkit.training.run import Run
from detkit.training.schedule import CosineConfig, MultistepConfig
from detkit.training.unfreeze import Unfreezing

log = logging.getLogger("detkit.training")


class Trainer:
    """Trains a run's detector by gradient steps until its end, a limit, or a signal.

    Args:
        run: The model, the data, the folder.
        config: Limits, precision, what is kept.
        optimizer: Which rule moves the weights.
        schedule: How its rate changes.
    """

    def __init__(
        self, run: Run, config: TrainingConfig, optimizer: SGDConfig | AdamWConfig, schedule: MultistepConfig | CosineConfig
    ) -> None:
        self.run, self.config, self.schedule = run, config, schedule
        images = run.data.batch_size * config.accumulation_steps
        precision = resolve_precision(config.precision, run.device)
        adapters = run.distilled.adapters if run.distilled else nn.ModuleList()
        if config.channels_last:
            for part in (run.detector, adapters):  # what is not so gets its gradients so, and processes would copy them
                part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.unfreezing = Unfreezing(run.detector, config.unfreeze) if config.unfreeze else None
        with self.unfreezing.all_learn() if self.unfreezing else nullcontext():
            self.optimizer = build_optimizer(run.detector, optimizer, images, tuple(adapters.parameters()))
        self.mixed = MixedPrecision(precision, run.device)
        self.ema = EMA(run.detector, config.ema) if config.ema else None
        self.network = distributed(run)
        self.pace = Progress(config.total_steps(run.data.images, images), self._budget(), config.follows_budget)
        if run.evaluation_minutes:
            self.pace.measured_evaluation(run.evaluation_minutes)  # an earlier stage's
        self.keeper = Checkpointer(run, config)
        self.meter = Meter()
        self.step = self.evaluations = 0
        self._random: list[dict[str, Any]] = []
        log.info("%s", optimizer.rule(images))
        log.info("precision %s on %s; %s", precision, run.device, self._limits())

    def fit(self) -> str:
        """Train; gives why it ended: ``finished``, ``budget``, ``early stop``, or the name of a signal.

        Raises:
            NotFiniteError: a loss is not finite.
        """
        self._tell("start", self.step, self.run.stage)
        try:
            return self._loop()
        finally:
            self._tell("close")

    def _loop(self) -> str:
        batches = iter(self.run.data.batches(self.step * self.config.accumulation_steps))
        if self._random:
            restore_random_state(self._random[self.run.processes.rank % len(self._random)])
        self.run.detector.train()
        while True:
            minutes, signalled, save_due = self._agree()
            over = self.pace.is_over(self.step, minutes - self.run.begun)
            due = self.config.evaluations if over else self.pace.evaluations_due(self.config.evaluations)
            if signalled:
                self.save()
                return self.run.signals.received or "SIGTERM"
            if due > self.evaluations:
                self._evaluate(due, minutes)
            elif save_due:
                self.save()
            if over:
                return self._end()
            if self.keeper.should_stop():
                return "early stop"
            self._make_step(batches, minutes)

    def _end(self) -> str:
        if self.pace.is_finished(self.step):
            return "finished"
        if not self.pace.by_budget:
            log.warning(CUT_SHORT, self.step, self.pace.total_steps, 100 * self.schedule.factor(self.step, self.pace.progress))
        return "budget"

    def state(self) -> dict[str, Any]:
        """All that :meth:`load` needs to go on exactly; every process must call it, the first one's is whole."""
        return {
            "step": self.step,
            "evaluations": self.evaluations,
            "reserve": self.pace.reserve,
            "frozen_stages": self.unfreezing.frozen if self.unfreezing else None,
            "detector": dict(self.run.detector.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.mixed.scaler.state_dict(),
            "precision": self.mixed.precision,
            "ema": self.ema.state() if self.ema else None,
            "keeper": self.keeper.state(),
            "adapters": dict(self.run.distilled.adapters.state_dict()) if self.run.distilled else {},
            "random": self.run.processes.gathered(random_state()),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state`.

        Raises:
            ValueError: the run was made with EMA and this one is not, or the other way round.
        """
        if (state["ema"] is None) != (self.ema is None):
            raise ValueError(f"training.ema: the run to resume was made {'without' if state['ema'] is None else 'with'} it; keep it so")
        self.step = int(state["step"])
        self.pace.reserve = state["reserve"] if self.pace.budget is not None else 0.0
        self.pace.update(self.step, self.run.minutes() - self.run.begun)
        # A limit may have been raised since: evaluations of the longer run that are now ahead are made.
        self.evaluations = min(int(state["evaluations"]), self.pace.evaluations_due(self.config.evaluations))
        self.run.detector.load_state_dict(state["detector"])
        if self.unfreezing:
            self.unfreezing.restore(int(state["frozen_stages"]))
            self.network = distributed(self.run)
        self.optimizer.load_state_dict(state["optimizer"])
        self.mixed.load(state["scaler"], state.get("precision"))
        if self.run.distilled:
            self.run.distilled.adapters.load_state_dict(state.get("adapters", {}))
        if self.ema:
            self.ema.load(state["ema"])
        self.keeper.load(state["keeper"])
        self._random = list(state["random"])
        if len(self._random) != self.run.processes.world:
            log.warning("the run was made by %d processes and goes on with %d: not exactly", len(self._random), self.run.processes.world)

    def save(self) -> None:
        """Write the resumable state and the newest checkpoint; every process must call it."""
        state, minutes = self.state(), self.run.minutes()
        self.keeper.save_last(self.model, state, minutes)

    @property
    def model(self) -> nn.Module:
        """What is evaluated and kept: the running mean if there is one."""
        return self.ema.model if self.ema else self.run.detector

    def _agree(self) -> tuple[float, bool, bool]:
        """Core-minutes over all processes, whether any was asked to stop, and whether the first wants to save: the same in each."""
        run = self.run
        save_due = run.processes.first and self.keeper.save_due()
        minutes, signals, saves = run.processes.sums(run.clock.minutes(), float(run.signals.received is not None), float(save_due))
        self.pace.update(self.step, minutes - self.run.begun)
        return minutes, signals > 0, saves > 0

    def _make_step(self, batches: Iterator[SampleBatch], minutes: float) -> None:
        factor = self.schedule.factor(self.step, self.pace.progress)
        set_rate(self.optimizer, factor)
        self.run.detector.set_progress(self.pace.progress)
        if self.unfreezing and self.unfreezing.update(self.pace.progress):
            self.network = distributed(self.run)  # several processes must know what has gradients
        begun = time.perf_counter()
        samples = [next(batches) for _ in range(self.config.accumulation_steps)]
        waited = time.perf_counter() - begun
        self.keeper.draw_batch(self.step, samples[0])
        losses = [self._backward(batch, last=place == len(samples) - 1) for place, batch in enumerate(samples)]
        self._move(losses, samples)
        self.step += 1
        self.run.images_seen += self.run.data.batch_size * self.config.accumulation_steps
        self.meter.step(waited)
        self._tell("set_progress", self.step, self.pace.progress)
        if self.step % self.config.log_every == 0:
            self._record(minutes)

    def _backward(self, batch: SampleBatch, last: bool) -> dict[str, Tensor]:
        """The losses of one batch, after their gradients were added."""
        run = self.run
        images, targets, proposals = self._inputs(batch)
        seeds = [image_seed(run.seed, self.step, image_id) for image_id in batch.image_ids]
        labeled = (batch.is_labeled,) if run.distilled else ()
        with self._synchronized(last):
            with norms_explained(images), self.mixed.context():
                losses: dict[str, Tensor] = self.network(images, targets, proposals, seeds, *labeled)
            total = torch.stack([value.float() for value in losses.values()]).sum() / self.config.accumulation_steps
            self.mixed.scaler.scale(total).backward()  # type: ignore[no-untyped-call]
        self.meter.add(losses)
        return losses

    def _inputs(self, batch: SampleBatch) -> tuple[list[Tensor], list[Targets], list[Proposals] | None]:
        """A batch on the device, at the size that this step has."""
        run = self.run
        images = [as_input(image.to(run.device, non_blocking=True), run.preprocess) for image in batch.images]
        targets = [rows.to(run.device, non_blocking=True) for rows in batch.targets]
        proposals = None if batch.proposals is None else [rows.to(run.device, non_blocking=True) for rows in batch.proposals]
        side = self.config.multi_scale.side(run.seed, self.step) if self.config.multi_scale else None
        if side is None:
            return images, targets, proposals
        sizes: list[Size] = [(int(image.shape[-2]), int(image.shape[-1])) for image in images]
        new = new_sizes(sizes, side)
        resized = [resized_image(image, size) for image, size in zip(images, new, strict=True)]
        return resized, resized_rows(targets, sizes, new), None if proposals is None else resized_rows(proposals, sizes, new)

    def _move(self, losses: Sequence[dict[str, Tensor]], batches: Sequence[SampleBatch]) -> None:
        """Move the weights, if everything is finite."""
        self.mixed.scaler.unscale_(self.optimizer)
        parameters = [p for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None]
        self.norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        total = torch.stack([value.detach().float() for terms in losses for value in terms.values()]).sum()
        if self.run.processes.is_true_in_any(self.mixed.is_bad(total, self.norm)):  # the one wait for the device in a step
            raise not_finite(self.step, bad_terms(losses, self.norm), batches, self._rate(), self.run.failed_batch)
        if self.config.clip_grad_norm is not None:
            nn.utils.clip_grads_with_norm_(parameters, self.config.clip_grad_norm, self.norm)
        self.mixed.scaler.step(self.optimizer)
        self.mixed.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.ema:
            self.ema.update(self.run.detector)

    def _evaluate(self, due: int, minutes: float) -> None:
        begun, run = time.perf_counter(), self.run
        if run.data.evaluate is not None:
            share_buffers(run.processes, run.detector, *([self.ema.model] if self.ema else []))
            numbers = run.evaluated(self.model, self.step)
            run.detector.train()
            self.keeper.note(numbers, self.step, self.model)
            self._tell("evaluation", self.step, numbers)
        self.evaluations = due
        self.save()
        after = run.minutes()
        self.pace.measured_evaluation(after - minutes)
        self.pace.update(self.step, after - run.begun)
        self.meter.pause(time.perf_counter() - begun)

    def _record(self, minutes: float) -> None:
        losses, seconds, waiting = self.meter.take(self.run.processes)
        self._tell(
            "record",
            Record(self.step, self.pace.progress, losses, self._rate(), float(self.norm), self.run.images_seen, minutes, seconds, waiting),
        )

    def _rate(self) -> float:
        groups = self.optimizer.param_groups
        return float(next((group["lr"] for group in groups if group["factor"] == 1), groups[0]["lr"]))

    def _tell(self, what: str, *values: Any) -> None:
        for hook in self.run.hooks:
            getattr(hook, what)(*values)

    def _synchronized(self, last: bool) -> AbstractContextManager[Any]:
        """Gradients are exchanged after the last batch of a step only."""
        if isinstance(self.network, DistributedDataParallel) and not last:
            return self.network.no_sync()
        return nullcontext()

    def _budget(self) -> float | None:
        """Core-minutes of this stage: its own limit, or what the run's budget leaves it, whichever is less."""
        left = None if self.run.deadline is None else max(self.run.deadline - self.run.begun, 1e-6)
        return min((limit for limit in (self.config.budget, left) if limit is not None), default=None)

    def _limits(self) -> str:
        steps = f"{self.pace.total_steps} steps" if self.pace.total_steps else "no limit of steps"
        budget = f", {self.pace.budget:g} core-minutes" if self.pace.budget else ""
        return f"{steps}{budget}; the schedule follows the {'budget' if self.pace.by_budget else 'steps'}"
