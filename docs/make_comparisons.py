"""Update the tables that compare runs with several seeds, or add a run to one of them.

    python docs/make_comparisons.py
    python docs/make_comparisons.py --add runs/light_lite0_bccd_taught-1/results.json --test numbers.json --to distillation
    python docs/make_comparisons.py --add runs/embedded_bccd-1/results.json --test numbers.json --to starts

``--test`` takes a file from ``detkit evaluate ... --split test --json numbers.json``. Runs are stored in ``docs/results``, in one folder
per table.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from make_results import filled

from detkit import zoo
from detkit.checkpoint import write_text
from detkit.weights import EMBEDDED

DOCS = Path(__file__).resolve().parent
RESULTS = DOCS / "results"
STORED = ("name", "seed", "core_minutes", "images_seen", "parameters", "validation", "config", "versions", "revision", "machine")


def teacher(config: dict[str, Any]) -> str:
    """Return the name of the teacher of a run."""
    name = (config.get("distillation") or {}).get("teacher") or "-"
    return str(name).removeprefix("runs/")


def start(config: dict[str, Any]) -> str:
    """Return a description of the initial weights of a run."""
    name = config.get("weights")
    return "the detector inside the package" if name == EMBEDDED else str(name or "ImageNet, backbone only")


@dataclass(frozen=True)
class Comparison:
    """A table on a page.

    Attributes:
        page: The page's name in ``docs``.
        heading: Heading of the column that distinguishes the runs.
        describe: Returns a run's cell in this column from its config.
    """

    page: str
    heading: str
    describe: Callable[[dict[str, Any]], str]


COMPARISONS = {
    "distillation": Comparison("distillation.md", "teacher", teacher),
    "starts": Comparison("training_on_your_own_data.md", "initial weights", start),
}


def add(run: Path, test: Path, to: str) -> Path:
    """Store the results of a run with its test metrics, for the table of this name."""
    results, numbers = json.loads(run.read_text("utf-8")), json.loads(test.read_text("utf-8"))
    row = {key: results[key] for key in STORED if key in results}
    row["config"]["output"] = None  # a path of the machine it ran on
    row["test"] = {key: numbers[key] for key in ("data", "metric", "evaluator", "precision", "values", "counts")}
    path = RESULTS / to / f"{row['name']}_seed{row['seed']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(row, indent=1) + "\n")
    return path


def table_row(name: str, rows: list[dict[str, Any]], describe: Callable[[dict[str, Any]], str]) -> tuple[str, ...]:
    """Return the table row of all seeds of a run; its name links to the config, if there is one of this name."""

    def numbers(key: str) -> tuple[str, str]:
        values = [row["test"]["values"][key] for row in rows]
        return ", ".join(f"{value:.3f}" for value in values), f"{statistics.mean(values):.3f}"

    minutes, seen = (", ".join(f"{row[key]:{form}}" for row in rows) for key, form in (("core_minutes", ".1f"), ("images_seen", ",")))
    seeds = ", ".join(str(row["seed"]) for row in rows)
    linked = f"[{name}](../{zoo.path(name).relative_to(DOCS.parent).as_posix()})" if name in zoo.names() else name
    return (linked, describe(rows[0]["config"]), minutes, seen, seeds, *numbers("AP"), *numbers("AP50"))


def page(text: str, name: str) -> str:
    """Return the page of a comparison with an updated table."""
    comparison = COMPARISONS[name]
    rows = [json.loads(path.read_text("utf-8")) for path in (RESULTS / name).glob("*.json")]
    rows.sort(key=lambda row: (row["name"], row["seed"]))
    table_rows = [table_row(run, list(group), comparison.describe) for run, group in groupby(rows, key=lambda row: str(row["name"]))]
    metrics = ("test AP per seed", "mean AP", "test AP50 per seed", "mean AP50")
    headings = ("run", comparison.heading, "core-minutes", "images seen", "seeds", *metrics)
    return filled(text, name, table_rows, headings)


def main(argv: list[str] | None = None) -> int:
    """Run the script and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--add", type=Path, metavar="RESULTS.JSON")
    parser.add_argument("--test", type=Path, metavar="NUMBERS.JSON")
    parser.add_argument("--to", choices=tuple(COMPARISONS))
    options = parser.parse_args(argv)
    if options.add is not None:
        if options.test is None or options.to is None:
            parser.error(f"--add needs --test NUMBERS.JSON and --to {' or '.join(COMPARISONS)}")
        print(f"written: {add(options.add, options.test, options.to)}")
    for name, comparison in COMPARISONS.items():
        path = DOCS / comparison.page
        path.write_text(page(path.read_text("utf-8"), name), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
