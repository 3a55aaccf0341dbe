"""The process of one training or evaluation of ``detkit compare``: python -m detkit.cli.compare.worker TASK.json."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from detkit.cli.process import collect_rarely, keep_freed_memory
from detkit.json_text import parse_json
from detkit.printable import PrintableFormatter, printable_message


def main(argv: Sequence[str]) -> int:
    """Do the task in a JSON file and return the exit code; the log is printed, and an error is the last line."""
    from detkit.comparison.running import FAILED, FINISHED, PAUSED

    (path,) = argv
    collect_rarely()
    keep_freed_memory()
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(PrintableFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("detkit").setLevel(logging.INFO)
    try:
        return FINISHED if _work(Path(path).read_bytes()) else PAUSED
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        logging.getLogger("detkit").debug("", exc_info=True)
        print(f"error: {printable_message(error)}", flush=True)
        return FAILED


def _work(text: bytes) -> bool:
    """Do a task; return whether it is finished."""
    from detkit.comparison.latency import LatencyTask, latency_task
    from detkit.comparison.work import EvaluationTask, TrainTask, evaluation_task, results_task, train_task

    kind = parse_json(text, "task")["kind"]
    if kind == "train":
        return train_task(TrainTask.from_json(text))
    if kind == "latency":
        latency_task(LatencyTask.from_json(text))
        return True
    task = EvaluationTask.from_json(text)
    results_task(task) if kind == "results" else evaluation_task(task)
    return True


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
