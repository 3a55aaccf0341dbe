"""Make docs/results.md from the files in docs/results, or add a run to them.

    python docs/make_results.py
    python docs/make_results.py --add runs/NAME-1/results.json --test numbers.json --tuning "2 shorter runs, judged on val"

``--test`` takes what ``detkit evaluate ... --split test --json numbers.json`` wrote.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
RESULTS = DOCS / "results"

INTRODUCTION = """# Results

Every row is a run of a config in `configs/`, made from the file of the same name in [results](results), which also holds the whole
config, the versions and the machine. `python docs/make_results.py` writes this page.

A budget is processor time: user and system seconds of the training process and its workers, validation included. Checkpoints were chosen
on the validation part; the test part was evaluated once.
"""

HEADINGS = ("config", "data", "test AP", "AP50", "AP75", "val AP", "core-minutes", "images seen", "parameters", "seed", "tuning")


def add(run: Path, test: Path | None, tuning: str) -> Path:
    """Copy a run's results, with its test numbers, into docs/results."""
    row = json.loads(run.read_text("utf-8"))
    row["tuning"] = tuning
    row["config"]["output"] = None  # a path of the machine it ran on
    if test is not None:
        written = json.loads(test.read_text("utf-8"))
        row["test"] = {key: written[key] for key in ("data", "metric", "engine", "precision", "values", "classes", "counts")}
    path = RESULTS / f"{row['name']}.json"
    path.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
    return path


def numbers_of(row: dict[str, Any]) -> dict[str, float | None]:
    """The test numbers of a row; empty if it has none."""
    values: dict[str, float | None] = row.get("test", {}).get("values", {})
    return values


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """One line of the table."""
    test, val = numbers_of(row), row["validation"]["best"]
    name = row["name"]
    return (
        f"[{name}](../configs/{name}.py)",
        Path(row["data"]["train"]["name"].split(" (")[0]).name,
        *(_ap(test.get(key)) for key in ("AP", "AP50", "AP75")),
        _ap(val.get("AP")),
        f"{row['core_minutes']:.1f}",
        f"{row['images_seen']:,}",
        f"{row['parameters'] / 1e6:.1f} M",
        str(row["seed"]),
        row.get("tuning") or "none",
    )


def _ap(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def page() -> str:
    """The text of docs/results.md."""
    rows = [cells(json.loads(path.read_text("utf-8"))) for path in sorted(RESULTS.glob("*.json"))]
    lines = [" | ".join(row) for row in (HEADINGS, ("---",) * len(HEADINGS), *rows)]
    return INTRODUCTION + "\n" + "\n".join(f"| {line} |" for line in lines) + "\n" + extra()


def extra() -> str:
    """The hand-written part, if there is one."""
    path = RESULTS / "notes.md"
    return "\n" + path.read_text("utf-8") if path.is_file() else ""


def main(argv: list[str] | None = None) -> int:
    """Run the script; give its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--add", type=Path, metavar="RESULTS.JSON")
    parser.add_argument("--test", type=Path, metavar="NUMBERS.JSON")
    parser.add_argument("--tuning", default="")
    options = parser.parse_args(argv)
    if options.add is not None:
        print(add(options.add, options.test, options.tuning))
    (DOCS / "results.md").write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
