"""How far a run has come, by steps or by the budget, and when it must stop."""

from __future__ import annotations

from dataclasses import dataclass

_FIRST_RESERVE = 0.05
"""Share of the budget kept for the last evaluation before one was measured."""
CUT_SHORT = (
    "warning: the budget ends the training after %d of %d steps, which the schedule follows: the learning rate is still %.0f %% of "
    "its highest; raise training.budget or set it to none, lower training.epochs or training.steps, or set training.schedule_by=budget"
)
"""What a run is told whose budget ends before its schedule: steps, all steps, and what is left of the rate in percent."""


@dataclass
class Progress:
    """Measures the progress of a run.

    Attributes:
        total_steps: Steps at which it ends, if any.
        budget: Core-minutes at which it ends, if any.
        by_budget: Whether progress follows the budget.
        reserve: Core-minutes kept for what comes after the last step: an evaluation and writing the checkpoint.
        progress: Share of the run that is over; it never falls.
        step_minutes: Core-minutes that a step takes, so that the last one fits.
    """

    total_steps: int | None
    budget: float | None
    by_budget: bool
    reserve: float = 0.0
    progress: float = 0.0
    step_minutes: float = 0.0
    _seen: tuple[int, float] | None = None
    _warm: bool = False

    def __post_init__(self) -> None:
        if self.budget is not None and not self.reserve:
            self.reserve = _FIRST_RESERVE * self.budget

    def update(self, step: int, minutes: float) -> None:
        """Note where the run stands after ``step`` steps and ``minutes`` core-minutes."""
        if self._seen is not None and step > self._seen[0]:
            taken = (minutes - self._seen[1]) / (step - self._seen[0])
            # The first step also compiles and warms up, so that it says nothing about the last one.
            self.step_minutes = max(0.8 * self.step_minutes, taken) if self._warm else 0.0
            self._warm = True
        self._seen = (step, minutes)
        by_steps = step / self.total_steps if self.total_steps else 0.0
        by_budget = minutes / max(self._available(), 1e-9) if self.budget is not None and self.by_budget else 0.0
        self.progress = max(self.progress, min(1.0, max(by_steps, by_budget)))

    def is_over(self, step: int, minutes: float) -> bool:
        """Whether no further step may be made."""
        spent = self.budget is not None and minutes >= self._available()
        return spent or self.is_finished(step)

    def is_finished(self, step: int) -> bool:
        """Whether all steps were made."""
        return self.total_steps is not None and step >= self.total_steps

    def measured_evaluation(self, minutes: float) -> None:
        """Keep as much for the last evaluation as this one took, and a little more."""
        if self.budget is not None:
            self.reserve = min(1.1 * minutes, 0.5 * self.budget)

    def evaluations_due(self, evaluations: int) -> int:
        """How many of the evaluations should have been made by now."""
        return int(self.progress * evaluations + 1e-9)

    def _available(self) -> float:
        """Core-minutes at which no further step may begin."""
        return (self.budget or 0.0) - self.reserve - self.step_minutes
