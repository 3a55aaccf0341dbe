"""Run the trainings and evaluations of a comparison, each in a process of its own; what is finished is never repeated."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from detkit.checkpoint.atomic import write_json
from detkit.comparison.folder import ComparisonFolder, newest_metric, read_json
from detkit.comparison.latency import LatencyTask
from detkit.comparison.plan import Plan, Unit, units
from detkit.comparison.splits import Parts
from detkit.comparison.work import EvaluationTask, TrainTask
from detkit.config import Config
from detkit.data import DataConfig
from detkit.experiment.config import Experiment

_log = logging.getLogger(__name__)

POLL_SECONDS = 0.2
STOP_SECONDS = 600.0
"""Seconds that stopped trainings have to save themselves, before they are ended."""
FINISHED, FAILED, PAUSED = 0, 2, 143
"""Exit codes of a task: done, failed, or stopped with everything saved."""
COMPLETE = ("finished", "budget", "early stop")
"""Reasons for which a training ends by itself."""
_TAIL = 2000


class Process(Protocol):
    """A process that works on a task."""

    def poll(self) -> int | None:
        """Return the exit code; None while it runs."""

    def stop(self) -> None:
        """Ask it to save its work and end."""

    def kill(self) -> None:
        """End it at once."""


Launch = Callable[[Config, Path], Process]
"""Starts a process for a task; what it prints is appended to the file."""
Say = Callable[[str], None]
"""Shows a line to the user."""


@dataclass
class Runner:
    """Runs the units of a comparison.

    Attributes:
        plan: The plan.
        folder: The folder of the comparison.
        parts: The data.
        launch: Starts processes.
        jobs: Number of processes at a time.
        say: Shows a line.
        parent: The process that trainings belong to: they pause when it ends.
        failed: The error of each unit that failed, by its name.
    """

    plan: Plan
    folder: ComparisonFolder
    parts: Parts
    launch: Launch
    jobs: int = 1
    say: Say = _log.info
    parent: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    def run(self, tasks: Iterable[Unit], pause_at: float | None = None) -> None:
        """Train and evaluate, or continue what was interrupted.

        A unit that fails is recorded in :attr:`failed`, and the others go on.

        Args:
            tasks: What to run, in this order.
            pause_at: Fraction of the training at which every training pauses.

        Raises:
            KeyboardInterrupt: If it is interrupted; all processes have then saved their work and ended.
        """
        tasks = list(tasks)
        for unit in tasks:
            self._keep_finished(unit)
        waiting = deque(unit for unit in tasks if not self._is_done(unit, pause_at))
        active: dict[Process, Unit] = {}
        started, total, done = time.monotonic(), len(waiting), 0
        try:
            while waiting or active:
                while waiting and len(active) < self.jobs:
                    unit = waiting.popleft()
                    active[self._start(unit, pause_at)] = unit
                ended = [process for process in active if process.poll() is not None]
                for process in ended:
                    unit = active.pop(process)
                    if self._ended(unit, process.poll() or 0, pause_at):
                        waiting.appendleft(unit)  # trained, and evaluated next
                        continue
                    done += 1
                    remaining = (time.monotonic() - started) / done * (total - done)
                    self.say(f"[{done}/{total}] {self._outcome(unit)}{_eta(remaining) if done < total else ''}")
                if not ended:
                    time.sleep(POLL_SECONDS)
        except BaseException:
            self._stop(active)
            raise

    def _keep_finished(self, unit: Unit) -> None:
        """Keep a training that ended by itself after this command had been ended."""
        run = self.folder.run(unit)
        if run.results.is_file() and not self.folder.is_trained(unit) and read_json(run.results).get("reason") in COMPLETE:
            self.folder.finish(unit)

    def measure_latency(self) -> bool:
        """Measure the time per image of all detectors that are here, in one process; return whether there is a new measurement.

        A measurement that has them all is kept, so that it stays when the checkpoints are left behind.

        Raises:
            KeyboardInterrupt: If it is interrupted.
        """
        models = self._models()
        known = read_json(self.folder.latency)["detectors"] if self.folder.latency.is_file() else {}
        if not models.keys() - known.keys():
            return False
        self.say(f"measuring the time per image of {len(models)} detectors in one process")
        output = self.folder.path / "latency.txt"
        task = LatencyTask(
            models=models,
            images=self.parts.sources["test"],
            output=str(self.folder.latency),
            device=self.plan.protocol.device,
            runtime=self.plan.protocol.runtime,
        )
        process = self.launch(task, output)
        try:
            while process.poll() is None:
                time.sleep(POLL_SECONDS)
        except BaseException:
            process.kill()
            raise
        if process.poll() != FINISHED:
            self.failed["latency"] = last_line(output, process.poll() or 0)
        return process.poll() == FINISHED

    def _models(self) -> dict[str, str]:
        """Return the model of each entry whose detector is on this machine, by the entry's slug."""
        models: dict[str, str] = {}
        for unit in units(self.plan):
            if unit.entry.kind == "detector":
                models[unit.entry.slug] = unit.entry.source
            elif unit.fraction == 1 and self.folder.checkpoint(unit).is_file():
                models.setdefault(unit.entry.slug, str(self.folder.checkpoint(unit)))
        return models

    def _is_done(self, unit: Unit, pause_at: float | None) -> bool:
        if self.folder.is_stopped(unit) or self.folder.is_evaluated(unit):
            return True
        return pause_at is not None and rung_of(self.folder, unit).get("at", 0.0) >= pause_at

    def _start(self, unit: Unit, pause_at: float | None) -> Process:
        self.folder.results(unit).mkdir(parents=True, exist_ok=True)
        if not self.folder.is_trained(unit):
            run = self.folder.run(unit)
            if run.path.exists() and not run.state.is_file():
                self.folder.clean(unit)  # it ended before anything was saved
            action = "resuming" if run.state.is_file() else "training"
            task: Config = self._train_task(unit, pause_at)
        else:
            self.folder.clean(unit)
            action, task = "evaluating", self._evaluation_task(unit)
        if unit.is_training and action != "evaluating":
            self.say(f"{action} {unit.name}")
        return self.launch(task, self.folder.output(unit))

    def _train_task(self, unit: Unit, pause_at: float | None) -> TrainTask:
        experiment = run_config(unit, self.plan, self.parts, self.folder)
        return TrainTask(experiment=experiment, device=self.plan.protocol.device, pause_at=pause_at, parent=self.parent)

    def _evaluation_task(self, unit: Unit) -> EvaluationTask:
        protocol = self.plan.protocol
        model = str(self.folder.checkpoint(unit)) if unit.is_training else unit.entry.source
        parts = {name: self.parts.sources[name] for name in ("val", "test")}
        return EvaluationTask(
            kind="results" if unit.entry.kind == "results" else "evaluate",
            model=model,
            parts=parts,
            output=str(self.folder.results(unit)),
            proposals=str(self.folder.shared_proposals()),
            device=protocol.device,
            precision=protocol.precision,
            runtime=protocol.runtime,
        )

    def _ended(self, unit: Unit, code: int, pause_at: float | None) -> bool:
        """Keep the outcome of a process; return whether the unit is trained and must be evaluated."""
        if self.folder.is_trained(unit):
            if code != FINISHED or not self.folder.is_evaluated(unit):
                self._fail(unit, code)
            return False
        if code == FINISHED and self.folder.run(unit).results.is_file():
            self.folder.finish(unit)
            return True
        if code == PAUSED and pause_at is not None:
            value = newest_metric(self.folder.run(unit))
            write_json(self.folder.rung(unit), {"at": pause_at, "value": value})
        else:
            self._fail(unit, code)
        return False

    def _fail(self, unit: Unit, code: int) -> None:
        self.failed[unit.name] = last_line(self.folder.output(unit), code)

    def _outcome(self, unit: Unit) -> str:
        if unit.name in self.failed:
            return f"{unit.name} failed: {self.failed[unit.name]}; {self.folder.output(unit)} has all that it printed"
        record = self.folder.record(unit)
        if record:
            best = record["validation"]["best"].get("AP")
            shown = "-" if best is None else f"{best:.3f}"
            cost = f"{record['core_minutes']:.1f} core-minutes, {record['steps']:,} steps, {record['images_seen']:,} images"
            return f"{unit.name}: val AP {shown} after {cost}"
        rung = rung_of(self.folder, unit)
        if rung:
            return f"{unit.name}: val AP {rung['value']:.3f} at {rung['at']:g} of its training" if rung["value"] is not None else unit.name
        return f"{unit.name}: evaluated"

    def _stop(self, active: dict[Process, Unit]) -> None:
        """Let all processes save their work and end; another interrupt ends them at once."""
        if not active:
            return
        self.say(f"stopping: {len(active)} process{'es' if len(active) > 1 else ''} saving; again to stop now")
        for process in active:
            process.stop()
        deadline = time.monotonic() + STOP_SECONDS
        try:
            while any(process.poll() is None for process in active) and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
        finally:
            for process, unit in active.items():
                if process.poll() is None:
                    process.kill()
                with suppress(OSError):
                    if process.poll() == FINISHED and self.folder.run(unit).results.is_file() and not self.folder.is_trained(unit):
                        self.folder.finish(unit)


def run_config(unit: Unit, plan: Plan, parts: Parts, folder: ComparisonFolder) -> Experiment:
    """Return the complete config of one training.

    Raises:
        ValueError: If the unit is not trained.
    """
    base = unit.entry.experiment
    if base is None or unit.seed is None:
        raise ValueError(f"{unit.name}: it is evaluated as it is, so it has no training")
    data = DataConfig(train=parts.fraction_of_training(unit.fraction, plan.protocol.split_seed), val=parts.sources["val"])
    config = base.replace(data=data, seed=unit.seed, output=str(folder.run(unit).path))
    if config.model.proposals_config is None:
        return config
    model: Any = config.model
    return config.replace(model=model.replace(proposals=model.proposals.replace(cache=str(folder.proposals(unit)))))


def last_line(output: Path, code: int) -> str:
    """Return the last line that a process printed, which is its error."""
    text = output.read_bytes()[-_TAIL:].decode("utf-8", "replace") if output.is_file() else ""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else f"ended with exit code {code}"


def rung_of(folder: ComparisonFolder, unit: Unit) -> dict[str, Any]:
    """Return at which fraction a training pauses, and its metric there; empty if it does not."""
    path = folder.rung(unit)
    return read_json(path) if path.is_file() else {}


def _eta(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"; about {f'{hours} h ' if hours else ''}{minutes} min left"
