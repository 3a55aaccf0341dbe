"""Fill the tables that compare runs of several seeds, or add a run to one of them.

    python docs/make_comparisons.py
    python docs/make_comparisons.py --add runs/light_lite0_bccd_taught-1/results.json --test numbers.json --to distillation
    python docs/make_comparisons.py --add runs/embedded_bccd-1/results.json --test numbers.json --to starts

``--test`` takes what ``detkit evaluate ... --split test --json numbers.json`` wrote. Runs are kept in ``docs/results``, in a folder for
each table.
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

from detkit.checkpoint import write_text
from detkit.weights import EMBEDDED

DOCS = Path(__file__).resolve().parent
RESULTS = DOCS / "results"
CONFIGS = DOCS.parent / "configs"
KEPT = ("name", "seed", "core_minutes", "images_seen", "parameters", "validation", "config", "versions", "revision", "machine")


def teacher(config: dict[str, Any]) -> str:
    """By which detector a run was taught."""
    named = (config.get("distillation") or {}).get("teacher") or "-"
    return str(named).removeprefix("runs/")


def start(config: dict[str, Any]) -> str:
    """What a run's weights were before it."""
    named = config.get("weights")
    return "the detector inside the package" if named == EMBEDDED else str(named or "ImageNet, the backbone alone")


@dataclass(frozen=True)
class Comparison:
    """A table on a page.

    Attributes:
        page: The page's name in ``docs``.
        heading: Of the column that tells the runs apart.
        told: What it says of a run, by its config.
    """

    page: str
    heading: str
    told: Callable[[dict[str, Any]], str]


COMPARISONS = {
    "distillation": Comparison("distillation.md", "teacher", teacher),
    "starts": Comparison("training_on_your_own_data.md", "starts from", start),
}


def add(run: Path, test: Path, to: str) -> Path:
    """Keep a run's results with its test numbers, for the table of this name."""
    found, numbers = json.loads(run.read_text("utf-8")), json.loads(test.read_text("utf-8"))
    row = {key: found[key] for key in KEPT if key in found}
    row["config"]["output"] = None  # a path of the machine it ran on
    row["test"] = {key: numbers[key] for key in ("data", "metric", "evaluator", "precision", "values", "counts")}
    path = RESULTS / to / f"{row['name']}_seed{row['seed']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(row, indent=1) + "\n")
    return path


def line(name: str, rows: list[dict[str, Any]], told: Callable[[dict[str, Any]], str]) -> tuple[str, ...]:
    """A line for all seeds of a run; its name leads to its config, where it has one of its own."""

    def numbers(key: str) -> tuple[str, str]:
        values = [row["test"]["values"][key] for row in rows]
        return ", ".join(f"{value:.3f}" for value in values), f"{statistics.mean(values):.3f}"

    minutes, seen = (", ".join(f"{row[key]:{form}}" for row in rows) for key, form in (("core_minutes", ".1f"), ("images_seen", ",")))
    seeds = ", ".join(str(row["seed"]) for row in rows)
    shown = f"[{name}](../configs/{name}.py)" if (CONFIGS / f"{name}.py").is_file() else name
    return (shown, told(rows[0]["config"]), minutes, seen, seeds, *numbers("AP"), *numbers("AP50"))


def page(text: str, name: str) -> str:
    """The page of a comparison, with the table between its marks made anew."""
    comparison = COMPARISONS[name]
    rows = [json.loads(path.read_text("utf-8")) for path in (RESULTS / name).glob("*.json")]
    rows.sort(key=lambda row: (row["name"], row["seed"]))
    lines = [line(run, list(group), comparison.told) for run, group in groupby(rows, key=lambda row: str(row["name"]))]
    headings = ("run", comparison.heading, "core-minutes", "images seen", "seeds", "test AP of each", "mean", "AP50 of each", "mean")
    return filled(text, name, lines, headings)


def main(argv: list[str] | None = None) -> int:
    """Run the script; give its exit status."""
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
