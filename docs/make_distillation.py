"""Fill the table of docs/distillation.md, or add a run to it.

    python docs/make_distillation.py
    python docs/make_distillation.py --add runs/light_lite0_bccd_taught-1/results.json --test numbers.json

``--test`` takes what ``detkit evaluate ... --split test --json numbers.json`` wrote. Runs are kept in ``docs/results/distillation``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

from make_results import filled

from detkit.checkpoint import write_text

DOCS = Path(__file__).resolve().parent
PAGE = DOCS / "distillation.md"
RESULTS = DOCS / "results" / "distillation"
HEADINGS = ("run", "teacher", "core-minutes", "pictures seen", "seeds", "test AP of each", "mean", "AP50 of each", "mean")
KEPT = ("name", "seed", "core_minutes", "images_seen", "parameters", "validation", "config", "versions", "revision", "machine")


def add(run: Path, test: Path) -> Path:
    """Keep a run's results with its test numbers."""
    found, numbers = json.loads(run.read_text("utf-8")), json.loads(test.read_text("utf-8"))
    row = {key: found[key] for key in KEPT if key in found}
    row["config"]["output"] = None  # a path of the machine it ran on
    row["test"] = {key: numbers[key] for key in ("data", "metric", "engine", "precision", "values", "counts")}
    path = RESULTS / f"{row['name']}_seed{row['seed']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(row, indent=1) + "\n")
    return path


def line(name: str, rows: list[dict[str, Any]]) -> tuple[str, ...]:
    """A line for all seeds of a config."""

    def numbers(key: str) -> tuple[str, str]:
        values = [row["test"]["values"][key] for row in rows]
        return ", ".join(f"{value:.3f}" for value in values), f"{statistics.mean(values):.3f}"

    teacher = (rows[0]["config"].get("distillation") or {}).get("teacher") or "-"
    minutes, seen = (", ".join(f"{row[key]:{form}}" for row in rows) for key, form in (("core_minutes", ".1f"), ("images_seen", ",")))
    seeds = ", ".join(str(row["seed"]) for row in rows)
    return (f"[{name}](../configs/{name}.py)", teacher.removeprefix("runs/"), minutes, seen, seeds, *numbers("AP"), *numbers("AP50"))


def page(text: str) -> str:
    """The page, with the table between its marks made anew."""
    rows = sorted((json.loads(path.read_text("utf-8")) for path in RESULTS.glob("*.json")), key=lambda row: (row["name"], row["seed"]))
    lines = [line(name, list(group)) for name, group in groupby(rows, key=lambda row: str(row["name"]))]
    return filled(text, "distillation", lines, HEADINGS)


def main(argv: list[str] | None = None) -> int:
    """Run the script; give its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--add", type=Path, metavar="RESULTS.JSON")
    parser.add_argument("--test", type=Path, metavar="NUMBERS.JSON")
    options = parser.parse_args(argv)
    if options.add is not None:
        if options.test is None:
            parser.error("--add needs --test NUMBERS.JSON")
        print(f"written: {add(options.add, options.test)}")
    PAGE.write_text(page(PAGE.read_text("utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
