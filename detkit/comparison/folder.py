"""The folder of a comparison: a small part that can be moved to another machine, and checkpoints, which can be left behind."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detkit.checkpoint.atomic import finite, write_json, write_text
from detkit.comparison.detections import Table, read_detections, read_masks
from detkit.comparison.plan import Unit
from detkit.evaluation.mask_runs import Runs
from detkit.json_text import parse_json
from detkit.training.folder import RunFolder
from detkit.training.loggers.metrics_file import read_rows

KEPT = ("results.json", "metrics.jsonl", "log.txt", "config.json")
"""Files of a finished training that are kept."""


@dataclass(frozen=True)
class ComparisonFolder:
    """The files of a comparison.

    ``runs`` has trainings that are not finished, ``results`` what is known of those that are, ``checkpoints`` their best checkpoints, and
    ``cache`` proposals. ``checkpoints`` and ``cache`` may be deleted: finished trainings are not repeated.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def plan(self) -> Path:
        """The plan and, in the end, the results, as JSON."""
        return self.path / "compare.json"

    @property
    def data(self) -> Path:
        """Folder of label files."""
        return self.path / "data"

    @property
    def report(self) -> Path:
        """The report."""
        return self.path / "report.html"

    @property
    def latency(self) -> Path:
        """Times per image, measured in one process."""
        return self.path / "latency.json"

    def run(self, unit: Unit) -> RunFolder:
        """Return the folder of an unfinished training."""
        return RunFolder(self.path / "runs" / unit.name)

    def checkpoint(self, unit: Unit) -> Path:
        """Return the best checkpoint of a finished training."""
        return self.path / "checkpoints" / f"{unit.name}.safetensors"

    def proposals(self, unit: Unit) -> Path:
        """Return the folder of the proposals of one training, so that each pays for the proposals that it needs."""
        return self.path / "cache" / "proposals" / unit.name

    def shared_proposals(self) -> Path:
        """Return the folder of the proposals that evaluations share."""
        return self.path / "cache" / "proposals" / "evaluation"

    def results(self, unit: Unit) -> Path:
        """Return the folder of what is known of a unit."""
        return self.path / "results" / unit.name

    def output(self, unit: Unit) -> Path:
        """Return the file of what a unit's process prints."""
        return self.path / "results" / unit.name / "output.txt"

    def detections(self, unit: Unit, part: str) -> Path:
        """Return the file of the detections on ``val`` or ``test``."""
        return self.results(unit) / f"{part}.npz"

    def stopped(self, unit: Unit) -> Path:
        """Return the file that says why a training was stopped for good."""
        return self.results(unit) / "stopped.json"

    def is_trained(self, unit: Unit) -> bool:
        """Whether nothing remains to be trained."""
        return not unit.is_training or (self.results(unit) / "results.json").is_file()

    def is_evaluated(self, unit: Unit) -> bool:
        """Whether nothing remains to be done."""
        return self.is_trained(unit) and (self.results(unit) / "evaluation.json").is_file()

    def is_stopped(self, unit: Unit) -> bool:
        """Whether the training was stopped for good."""
        return self.stopped(unit).is_file()

    def record(self, unit: Unit) -> dict[str, Any]:
        """Return the results of a training; empty for what was not trained."""
        path = self.results(unit) / "results.json"
        return read_json(path) if path.is_file() else {}

    def evaluation(self, unit: Unit) -> dict[str, Any]:
        """Return the facts about a unit's evaluation; empty if there are none."""
        path = self.results(unit) / "evaluation.json"
        return read_json(path) if path.is_file() else {}

    def table(self, unit: Unit, part: str) -> Table:
        """Return the detections of a unit on ``val`` or ``test``."""
        return read_detections(self.detections(unit, part))

    def masks(self, unit: Unit, part: str) -> list[Runs] | None:
        """Return the masks of these detections, in the same order; None for a detector without masks."""
        return read_masks(self.detections(unit, part))

    def rung(self, unit: Unit) -> Path:
        """Return the file that says at which fraction of a training it pauses, and how good it was there."""
        return self.results(unit) / "rung.json"

    def finish(self, unit: Unit) -> None:
        """Keep what matters of a finished training, and remove the rest; can be repeated if it is interrupted."""
        run, kept = self.run(unit), self.results(unit)
        kept.mkdir(parents=True, exist_ok=True)
        best = run.best if run.best.is_file() else run.last
        if best.is_file():
            self.checkpoint(unit).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(best, self.checkpoint(unit))
        for name in (*KEPT[1:], KEPT[0]):  # the results last: they say that the training is finished
            if (run.path / name).is_file():
                shutil.copy2(run.path / name, kept / f"{name}.part")
                (kept / f"{name}.part").replace(kept / name)
        self.clean(unit)

    def add_test(self, unit: Unit, test: dict[str, Any]) -> None:
        """Add the numbers on the test images, and the trials of the settings, to the results of a training, as in ``docs/results``."""
        record = self.record(unit)
        complete = finite({**record, "config": {**record.get("config", {}), "output": None}, "tuning": unit.entry.trials, "test": test})
        if record != complete:
            write_json(self.results(unit) / "results.json", complete)

    def clean(self, unit: Unit) -> None:
        """Remove the folder of a training and its proposals."""
        shutil.rmtree(self.run(unit).path, ignore_errors=True)
        shutil.rmtree(self.proposals(unit), ignore_errors=True)

    def read(self) -> dict[str, Any]:
        """Return the content of ``compare.json``.

        Raises:
            FileNotFoundError: If the folder holds no comparison.
        """
        if not self.plan.is_file():
            raise FileNotFoundError(
                f"{self.path}: no comparison there, as it has no compare.json; start one with `detkit compare ... --output`"
            )
        return read_json(self.plan)

    def write(self, content: dict[str, Any]) -> None:
        """Write ``compare.json``: results with null for numbers that are not finite, and the plan exactly, as the JSON of every config."""
        write_text(self.plan, json.dumps({**finite(content), "plan": content.get("plan")}, indent=1) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Return the object of a JSON file.

    Raises:
        ValueError: If it is anything else.
    """
    content = parse_json(path.read_bytes(), str(path))
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a JSON object, got {type(content).__name__}")
    return content


def newest_metric(run: RunFolder, name: str = "AP") -> float | None:
    """Return a metric of a run's newest evaluation; None if there was none."""
    values = [row["evaluation"].get(name) for row in read_rows(run.metrics) if "evaluation" in row]
    return values[-1] if values else None
