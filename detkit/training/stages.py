"""Stages: what a training is made of. One of gradient steps is all that most detectors need."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from detkit.checkpoint import load_checkpoint, load_state
from detkit.training.alternating import Part, ProposalsFrom, frozen, reset_parts, train_part
from detkit.training.checkpointer import STATE_FORMAT
from detkit.training.config import TrainingConfig
from detkit.training.optimizer import AdamWConfig, SGDConfig
from detkit.training.run import Run
from detkit.training.schedule import CosineConfig, MultistepConfig
from detkit.training.shares import split_budget
from detkit.training.stale_fits import reset_stale_fits
from detkit.training.trainer import Trainer

log = logging.getLogger("detkit.training")


@dataclass(frozen=True)
class StageEnd:
    """How a stage ended.

    Attributes:
        reason: ``finished``, ``budget``, ``early stop``, or the signal that cut it.
        interrupted: Whether it can be gone on with.
        steps: What it made.
        numbers: The last evaluation.
        best_numbers: The best evaluation.
        best_step: When that was.
    """

    reason: str
    interrupted: bool = False
    steps: int = 0
    numbers: Mapping[str, float] = field(default_factory=dict)
    best_numbers: Mapping[str, float] = field(default_factory=dict)
    best_step: int = 0


class Stage(Protocol):
    """One part of a training: it changes the run's detector, and can be cut and gone on with."""

    @property
    def name(self) -> str:
        """What the log calls it."""

    @property
    def budget_share(self) -> float | None:
        """The part of the run's budget that it may take; none: its part of what the others leave."""

    def check(self, run: Run) -> None:
        """Refuse a run that it could not do its part of, with a ValueError; asked of each before the first begins."""

    def run(self, run: Run, state: Mapping[str, Any] | None) -> StageEnd:
        """Do it, from ``state`` on if it was begun; it saves its state to the run's folder itself."""


@dataclass(frozen=True)
class GradientStage:
    """Gradient steps on the sum of the detector's losses.

    Attributes:
        training: Limits, precision, what is kept.
        optimizer: Which rule moves the weights.
        schedule: How its rate changes.
        frozen: Parts of the detector that stay as they are: prefixes of parameter names.
        name: What the log calls it.
        budget_share: Of the run's budget.
        trains: The part of a two-stage detector that learns; the other's layers stay as they are.
        proposals_from: Who says where to look, where only the second stage learns.
        reset: Parts that begin again with what the run began with: prefixes of parameter names.
    """

    training: TrainingConfig
    optimizer: SGDConfig | AdamWConfig
    schedule: MultistepConfig | CosineConfig
    frozen: tuple[str, ...] = ()
    name: str = "gradient"
    budget_share: float | None = None
    trains: Part = "all"
    proposals_from: ProposalsFrom = "current"
    reset: tuple[str, ...] = ()

    def check(self, run: Run) -> None:
        """See :meth:`Stage.check`; what it needs is checked as it begins."""

    def run(self, run: Run, state: Mapping[str, Any] | None) -> StageEnd:
        """See :meth:`Stage.run`.

        Raises:
            NotFiniteError: a loss is not finite.
            ValueError: a prefix in ``frozen`` or ``reset`` names nothing, or the detector has not the part that learns.
        """
        others = {"rpn": ("region.",), "region": ("rpn.",)}.get(self.trains, ())
        with train_part(run, self.name, self.trains, self.proposals_from, begins=state is None):
            if state is None:
                reset_parts(run, self.name, self.reset)
            with frozen(run.detector, self.name, (*self.frozen, *others)):
                if state is None:
                    reset_stale_fits(run.detector, self.name, unfreezes=bool(self.training.unfreeze))
                return self._train(run, state)

    def _train(self, run: Run, state: Mapping[str, Any] | None) -> StageEnd:
        trainer = Trainer(run, self.training, self.optimizer, self.schedule)
        if state is not None:
            trainer.load(state)
            log.info("going on after step %d", trainer.step)
        reason = trainer.fit()
        keeper = trainer.keeper
        cut = reason not in {"finished", "budget", "early stop"}
        if trainer.ema and not cut:
            run.detector.load_state_dict(trainer.ema.model.state_dict())
        return StageEnd(reason, cut, trainer.step, keeper.numbers, keeper.best_numbers, keeper.best_step)


def run_stages(run: Run, stages: Sequence[Stage], resume: bool = False, only: int | None = None) -> StageEnd:
    """Run the stages in order, or go on with the one that the run's folder has the state of.

    Args:
        run: The run.
        stages: Its stages.
        resume: Go on with what the folder has the state of.
        only: The place of the one stage to run; a run that is gone on with begins it anew, from its newest checkpoint, unless it was cut
            within this very stage.

    Raises:
        ValueError: the folder's state does not fit these stages or these classes.
    """
    state = load_state(run.folder.state) if resume else None
    if state is not None:
        _check_fits(run, stages, state)
        run.images_seen = int(state["images_seen"])
        if run.processes.first:
            run.clock.carry_on(float(state["core_minutes"]), state.get("parts"))
        run.evaluation_minutes = float(state.get("evaluation_minutes", 0.0))
    end = StageEnd("finished")
    with run.signals:
        begin, end_before = (int(state["stage"]) if state else 0, len(stages)) if only is None else (only, only + 1)
        if only is not None and state is not None and state["stage"] != only:
            run.detector.load_state_dict(load_checkpoint(run.folder.last).tensors)
        for place in range(begin, end_before):
            run.stage = place
            if len(stages) > 1:
                log.info("stage %d of %d: %s", place + 1, len(stages), stages[place].name)
            inside = state["inside"] if state is not None and state["stage"] == place else None
            begun = run.minutes() if place or only is not None else 0.0  # start-up is of the first stage
            run.begun = begun if inside is None else float(inside.get("minutes_before", begun))
            run.deadline = _deadline(run, stages, place, alone=only is not None)
            with run.clock.spent_on(stages[place].name):
                found = stages[place].run(run, inside)
            end = replace(found, steps=found.steps or end.steps)  # stages that fit layers make none
            if end.interrupted:
                break
    return end


def _deadline(run: Run, stages: Sequence[Stage], place: int, alone: bool) -> float | None:
    """Core-minutes at which a stage must have ended: what earlier ones leave is its own, too. Alone it has its share from now on."""
    if run.budget is None:
        return None
    parts = split_budget([stage.budget_share for stage in stages])
    return run.begun + run.budget * parts[place] if alone else run.budget * sum(parts[: place + 1])


def _check_fits(run: Run, stages: Sequence[Stage], state: Mapping[str, Any]) -> None:
    if state.get("format") != STATE_FORMAT:
        raise ValueError(
            f"resume {run.folder.path}: its state is of format {state.get('format')} (detkit {state.get('detkit')}), expected "
            f"{STATE_FORMAT}; go on with the detkit that made it, or start anew with weights={run.folder.last}"
        )
    names, kept = list(run.header["class_names"]), list(state["class_names"])
    if names != kept:
        raise ValueError(
            f"resume {run.folder.path}: the data's classes are {names}, the run's are {kept}; start anew with weights={run.folder.last}"
        )
    if not 0 <= state["stage"] < len(stages):
        raise ValueError(f"resume {run.folder.path}: the run was in stage {state['stage'] + 1}, this config has {len(stages)}")
