"""Training stages. Most detectors need only one stage of gradient steps."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from detkit.checkpoint import load_checkpoint, load_state
from detkit.training.alternating import Part, ProposalsFrom, train_part
from detkit.training.checkpointer import STATE_FORMAT
from detkit.training.config import TrainingConfig
from detkit.training.fingerprint import check_data
from detkit.training.optim.optimizer import AdamWConfig, SGDConfig
from detkit.training.optim.schedule import AnySchedule
from detkit.training.parts import frozen, reset_parts, reset_stale_fits
from detkit.training.run import Run
from detkit.training.saved_state import check_saved_state, explain_foreign_state
from detkit.training.trainer import Trainer

_log = logging.getLogger(__name__)

_ROUNDING = 1e-9


@dataclass(frozen=True)
class StageResult:
    """Result of a stage.

    Attributes:
        reason: Why it ended: ``finished``, ``budget``, ``early stop``, or the name of the signal that interrupted it.
        interrupted: Whether it can be resumed.
        steps: Optimizer steps made.
        numbers: Metrics of the last evaluation.
        best_numbers: Metrics of the best evaluation.
        best_step: Step of the best evaluation.
    """

    reason: str
    interrupted: bool = False
    steps: int = 0
    numbers: Mapping[str, float] = field(default_factory=dict)
    best_numbers: Mapping[str, float] = field(default_factory=dict)
    best_step: int = 0


class Stage(Protocol):
    """One part of a training: it changes the run's detector, and can be interrupted and resumed."""

    @property
    def name(self) -> str:
        """Name in the log."""

    @property
    def budget_share(self) -> float | None:
        """Fraction of the run's budget; None for an equal share of what the other stages leave."""

    def check(self, run: Run) -> None:
        """Raise a ValueError if the stage cannot be run; called for every stage before the first one starts."""

    def run(self, run: Run, state: Mapping[str, Any] | None) -> StageResult:
        """Run the stage, resuming from ``state`` if given; it saves its state to the run's folder itself."""


@dataclass(frozen=True)
class GradientStage:
    """Gradient steps on the sum of the detector's losses.

    Attributes:
        training: Limits, precision, evaluations and checkpoints.
        optimizer: The optimizer.
        schedule: The learning rate schedule.
        frozen: Parts of the detector that are frozen: prefixes of parameter names.
        name: Name in the log.
        budget_share: Fraction of the run's budget.
        trains: The part of a two-stage detector that is trained; the layers of the other part are frozen.
        proposals_from: Source of the proposals when only the second stage of the detector is trained.
        reset: Parts that are reset to the initial weights of the run: prefixes of parameter names.
    """

    training: TrainingConfig
    optimizer: SGDConfig | AdamWConfig
    schedule: AnySchedule
    frozen: tuple[str, ...] = ()
    name: str = "gradient"
    budget_share: float | None = None
    trains: Part = "all"
    proposals_from: ProposalsFrom = "current"
    reset: tuple[str, ...] = ()

    def check(self, run: Run) -> None:
        """See :meth:`Stage.check`; the requirements are checked when the stage starts."""

    def run(self, run: Run, state: Mapping[str, Any] | None) -> StageResult:
        """See :meth:`Stage.run`.

        Raises:
            NotFiniteError: If a loss is not finite.
            ValueError: If a prefix in ``frozen`` or ``reset`` matches nothing, or the detector does not have the part to train.
        """
        others = {"rpn": ("region.",), "region": ("rpn.",)}.get(self.trains, ())
        with train_part(run, self.name, self.trains, self.proposals_from, from_start=state is None):
            if state is None:
                reset_parts(run, self.name, self.reset)
            with frozen(run.detector, self.name, (*self.frozen, *others)):
                if state is None:
                    reset_stale_fits(run.detector, self.name, unfreezes=bool(self.training.unfreeze))
                return self._train(run, state)

    def _train(self, run: Run, state: Mapping[str, Any] | None) -> StageResult:
        trainer = Trainer(run, self.training, self.optimizer, self.schedule)
        if state is not None:
            with explain_foreign_state(run.folder.state, run.folder.last):
                trainer.load(state)
            _log.info("resuming after step %d", trainer.step)
        reason = trainer.fit()
        best = trainer.checkpointer
        interrupted = reason not in {"finished", "budget", "early stop"}
        if trainer.ema and not interrupted:
            run.detector.load_state_dict(trainer.ema.model.state_dict())
        if trainer.restart and not interrupted and run.processes.first:
            trainer.restart.clean()
        return StageResult(reason, interrupted, trainer.step, best.numbers, best.best_numbers, best.best_step)


def split_budget(given: Sequence[float | None]) -> list[float]:
    """Return each stage's fraction of the budget: the given one, or an equal share of the rest.

    Raises:
        ValueError: If the given fractions add up to more than 1, or leave nothing for the other stages.
    """
    claimed = sum(share for share in given if share is not None)
    open_count = sum(share is None for share in given)
    if claimed > 1 + _ROUNDING or (open_count and claimed >= 1 - _ROUNDING):
        expected = f"less than 1, as {open_count} other stages need a share too" if open_count else "at most 1"
        raise ValueError(f"stages: the values of budget_share add up to {claimed:g}, expected {expected}")
    return [(1 - claimed) / open_count if share is None else share for share in given]


def run_stages(run: Run, stages: Sequence[Stage], resume: bool = False, only: int | None = None) -> StageResult:
    """Run the stages in order, or resume with the stage whose state is in the run's folder.

    Args:
        run: The run.
        stages: Its stages.
        resume: Resume from the state in the folder.
        only: Index of the only stage to run. A resumed run then repeats this stage from its newest checkpoint, unless it was interrupted
            within this very stage.

    Raises:
        ValueError: If the saved state does not match these stages or these classes.
    """
    state = load_state(run.folder.state) if resume else None
    if state is not None:
        _check_state(run, stages, state)
        check_data(run.folder.path, run.fingerprints, state.get("data", {}))
        run.images_seen = int(state["images_seen"])
        if run.processes.first:
            run.clock.add_previous(float(state["core_minutes"]), state.get("parts"), float(state.get("wall_minutes", 0.0)))
        run.evaluation_minutes = float(state.get("evaluation_minutes", 0.0))
    end = StageResult("finished")
    with run.signals:
        first, stop = (int(state["stage"]) if state else 0, len(stages)) if only is None else (only, only + 1)
        if only is not None and state is not None and state["stage"] != only:
            run.detector.load_state_dict(load_checkpoint(run.folder.last).tensors)
        for index in range(first, stop):
            run.stage = index
            if len(stages) > 1:
                _log.info("stage %d of %d: %s", index + 1, len(stages), stages[index].name)
            inside = state["inside"] if state is not None and state["stage"] == index else None
            minutes = run.minutes() if index or only is not None else 0.0  # start-up is part of the first stage
            run.stage_start_minutes = minutes if inside is None else float(inside.get("minutes_before", minutes))
            run.deadline = _deadline(run, stages, index, alone=only is not None)
            with run.clock.measure(stages[index].name):
                result = stages[index].run(run, inside)
            end = replace(result, steps=result.steps or end.steps)  # stages that fit layers make no steps
            if end.interrupted:
                break
    return end


def _deadline(run: Run, stages: Sequence[Stage], index: int, alone: bool) -> float | None:
    """Return the core-minutes at which a stage must have ended.

    A stage may also use what earlier stages left. A stage that runs alone has its own share from now on.
    """
    if run.budget is None:
        return None
    shares = split_budget([stage.budget_share for stage in stages])
    return run.stage_start_minutes + run.budget * shares[index] if alone else run.budget * sum(shares[: index + 1])


def _check_state(run: Run, stages: Sequence[Stage], state: Mapping[str, Any]) -> None:
    if state.get("format") != STATE_FORMAT:
        raise ValueError(
            f"resume {run.folder.path}: expected a state of format {STATE_FORMAT}, got {state.get('format')}, written by detkit "
            f"{state.get('detkit')}; resume with that version of detkit, or start a new run with weights={run.folder.last}"
        )
    check_saved_state(run.folder.state, state, run.folder.last)
    names, saved = list(run.header["class_names"]), list(state["class_names"])
    if names != saved:
        raise ValueError(
            f"resume {run.folder.path}: expected the run's classes {saved}, got {names} from the data; start a new run with "
            f"weights={run.folder.last}"
        )
    if not 0 <= state["stage"] < len(stages):
        raise ValueError(f"resume {run.folder.path}: the run was in stage {state['stage'] + 1}, but the config has {len(stages)} stages")
