"""Progress of a run, by steps or by budget, and the decision when to stop."""

from __future__ import annotations

from dataclasses import dataclass

_FIRST_RESERVE = 0.05
"""Fraction of the budget reserved for the last evaluation before the time of an evaluation is known."""
BUDGET_CUT_WARNING = (
    "warning: the budget ended the training after %d of the %d steps that the schedule follows: the learning rate is still %.0f %% of "
    "its peak; raise training.budget or set it to none, lower training.epochs or training.steps, or set training.schedule_by=budget"
)
"""Warning for a budget that ends before the schedule: steps made, all steps, and the remaining learning rate in percent."""


@dataclass
class Progress:
    """Progress of a run toward its limits.

    Attributes:
        total_steps: Steps at which the run ends, if limited.
        budget: Core-minutes at which the run ends, if limited.
        by_budget: Whether the progress follows the budget.
        reserve: Core-minutes reserved for the time after the last step: an evaluation and writing the checkpoint.
        fraction: Fraction of the run that is done; it never decreases.
        step_minutes: Core-minutes per step, so that the last step fits.
    """

    total_steps: int | None
    budget: float | None
    by_budget: bool
    reserve: float = 0.0
    fraction: float = 0.0
    step_minutes: float = 0.0
    _last: tuple[int, float] | None = None
    _warm: bool = False

    def __post_init__(self) -> None:
        if self.budget is not None and not self.reserve:
            self.reserve = _FIRST_RESERVE * self.budget

    def update(self, step: int, minutes: float) -> None:
        """Update the progress after ``step`` steps and ``minutes`` core-minutes."""
        if self._last is not None and step > self._last[0]:
            per_step = (minutes - self._last[1]) / (step - self._last[0])
            # The first step also includes compilation and warm-up, so it does not predict the time of the last one.
            self.step_minutes = max(0.8 * self.step_minutes, per_step) if self._warm else 0.0
            self._warm = True
        self._last = (step, minutes)
        by_steps = step / self.total_steps if self.total_steps else 0.0
        by_budget = minutes / max(self._available(), 1e-9) if self.budget is not None and self.by_budget else 0.0
        self.fraction = max(self.fraction, min(1.0, max(by_steps, by_budget)))

    def limits(self) -> str:
        """Return a description of the limits for the log."""
        steps = [f"{self.total_steps} steps"] if self.total_steps else []
        budget = [f"{self.budget:g} core-minutes"] if self.budget else []
        unit = "budget" if self.by_budget else "steps"
        return f"limit: {' or '.join([*steps, *budget]) or 'none'}; the schedule follows the {unit}"

    def is_over(self, step: int, minutes: float) -> bool:
        """Return whether no further step may be made."""
        spent = self.budget is not None and minutes >= self._available()
        return spent or self.is_finished(step)

    def is_finished(self, step: int) -> bool:
        """Return whether all steps were made."""
        return self.total_steps is not None and step >= self.total_steps

    def reserve_evaluation(self, minutes: float) -> None:
        """Reserve slightly more than the ``minutes`` of this evaluation for the last one."""
        if self.budget is not None:
            self.reserve = min(1.1 * minutes, 0.5 * self.budget)

    def evaluations_due(self, evaluations: int) -> int:
        """Return how many of the evaluations should have been made by now."""
        return int(self.fraction * evaluations + 1e-9)

    def _available(self) -> float:
        """Return the core-minutes after which no further step may start."""
        return (self.budget or 0.0) - self.reserve - self.step_minutes
