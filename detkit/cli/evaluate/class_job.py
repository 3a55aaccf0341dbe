"""The common part of evaluating models without boxes, which predict the class of whole images or of pixels."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.cli.command_line import command_line
from detkit.cli.evaluate.analysis import OUTPUTS, versions
from detkit.cli.evaluate.jobs import chosen_classes, labeled
from detkit.cli.evaluate.options import VIEW_FLAGS, EvaluateOptions, add_evaluate_flags
from detkit.cli.evaluate.report import emit_report, report_title, run_of, wants_report
from detkit.cli.outputs import Outputs, write_output
from detkit.cli.report import count, duration, memory_line
from detkit.cli.resolve import model_line, resolve_model

if TYPE_CHECKING:
    from detkit.data import DetectionData
    from detkit.inference import Predictor
    from detkit.report.evaluation import WrittenReport

_BOX_FLAGS = ("results", "max_detections", *VIEW_FLAGS, "details", "at_operating_point", "against")


@dataclass(frozen=True)
class ClassJob:
    """A model that predicts classes and no boxes, and the labeled images that it is evaluated on.

    Attributes:
        options: The flags.
        model: Its file or name.
        predictor: The loaded model.
        data: The labeled images.
        renames: Class names in the data and the corresponding names of the model.
        classes: Classes to evaluate, by the names of the model; empty: all.
        started: When loading began, by ``time.perf_counter``.
        loaded: When everything was loaded.
    """

    options: EvaluateOptions
    model: str | Path
    predictor: Predictor
    data: DetectionData
    renames: Mapping[str, str]
    classes: list[str]
    started: float
    loaded: float

    @classmethod
    def load(cls, options: EvaluateOptions, concerns: str, what_it_does: str, allowed: Sequence[str] = ()) -> ClassJob:
        """Load the model and the data, and print both.

        Args:
            options: The flags.
            concerns: The noun for what flags that do not apply are about.
            what_it_does: The end of the sentence that begins with the name of the model, such as "is a classifier".
            allowed: Those of the flags about boxes that apply nevertheless.

        Raises:
            ValueError: If a flag concerns boxes.
        """
        given = [name for name in _BOX_FLAGS if getattr(options, name) and name not in allowed]
        if given or options.metric != "coco":
            flag = given[0].replace("_", "-") if given else "metric"
            raise ValueError(f"--{flag} concerns {concerns}, and {options.model or 'the newest run'} {what_it_does}; leave it out")
        from detkit.data import parse_renames
        from detkit.inference import load

        start = time.perf_counter()
        model, reason = resolve_model(options.model, options.latest)
        predictor = load(model, options.device, options.precision, runtime=options.runtime, threads=options.threads)
        print(model_line(model, reason, predictor.class_names, predictor.device, predictor.precision))
        data = labeled(options, model)
        renames = parse_renames(options.rename or ())
        return cls(options, model, predictor, data, renames, chosen_classes(options.classes, data, renames), start, time.perf_counter())

    @property
    def title(self) -> str:
        """Title of the report."""
        return report_title(self.model, self.data.name)

    @property
    def facts(self) -> dict[str, Any]:
        """Names and values about model, data and versions for the report."""
        device, precision = str(self.predictor.device), self.predictor.precision
        return {"model": str(self.model), "data": self.data.name, "precision": precision, "device": device, "versions": versions()}

    @property
    def command(self) -> str:
        """The command that repeats the evaluation."""
        return command_line("evaluate", add_evaluate_flags, replace(self.options, model=str(self.model), latest=False), OUTPUTS)

    def finish(
        self,
        outputs: Outputs,
        text: str,
        done: tuple[int, str],
        numbers: Mapping[str, Any],
        make_report: Callable[[str | Path], WrittenReport] | None = None,
    ) -> int:
        """Print the numbers and how long they took, write the JSON file and the report, and return the exit code.

        Args:
            outputs: The files to write.
            text: The numbers as text.
            done: Number of evaluated images, and what was done with them, such as "classifying".
            numbers: The numbers for the JSON file.
            make_report: Writes the report to a path; None if there is none.
        """
        (images, verb), seconds = done, time.perf_counter() - self.loaded
        print(f"\n{text}\n")
        per_image = f"{1000 * seconds / max(images, 1):.0f} ms per image"
        print(f"{count(images, 'image')}; loading {duration(self.loaded - self.started)}, {verb} {duration(seconds)} ({per_image})")
        print(memory_line())
        outputs.write("json", lambda path: self._write(path, numbers))
        if make_report is not None and wants_report(self.options.report, self.options.no_report):
            emit_report(self.options.report, outputs, run_of(self.model), make_report)
        if outputs.written:
            print(f"written: {', '.join(outputs.written)}")
        return 0

    def _write(self, path: str, numbers: Mapping[str, Any]) -> None:
        from detkit.about import __version__
        from detkit.checkpoint.atomic import finite

        content = finite({"detkit": __version__, "model": str(self.model), "data": self.data.name, **numbers})
        write_output(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")
