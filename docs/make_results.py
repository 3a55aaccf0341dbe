"""Make docs/results.md from the files in docs/results, or add a run to them.

    python docs/make_results.py
    python docs/make_results.py --add runs/NAME-1/results.json --test numbers.json --speed speed.json --tuning "2 runs on val"
    python docs/make_results.py --add ... --cause "why it is below half the best of its table, as measured in NAME"

``--test`` takes what ``detkit evaluate ... --split test --json numbers.json`` wrote, ``--speed`` what ``tools/benchmark.py detector ...
--json speed.json`` wrote. The files in ``docs/results/speed`` are what other commands of ``tools/benchmark.py`` wrote with ``--json``.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
RESULTS = DOCS / "results"

INTRODUCTION = """# Results

Every row is a run of a config in `configs/`, made from the file of the same name in [results](results), which also holds the whole
config, the versions and the machine. `python docs/make_results.py` writes this page.

A budget is processor time: user and system seconds of the training process and its workers, validation included. Checkpoints were chosen
on the validation part; the test part was evaluated once. Images/s are the training's for each second of one core; ms is the median time
of one test image from its pixels to its detections, in the default precision (`python tools/benchmark.py detector RUN --data ...`).
Minutes and milliseconds are those of the processor in the row, and not comparable with another's.
Detectors that are told where to look had their proposals remembered: to search for them comes on top ([how long](selective_search.md)).
"""

HEADINGS = (
    *("config", "test AP", "AP50", "AP75", "val AP", "core-minutes", "images seen", "images/s a core"),
    *("proposals", "parameters", "GFLOPs", "ms", "processor", "seed", "tuning"),
)

CLASSIFIED = (
    *("config", "test top-1", "balanced", "val top-1", "val balanced", "core-minutes", "images seen", "images/s a core"),
    *("parameters", "processor", "seed", "tuning"),
)
"""Of classifiers; ``balanced`` is the mean of the classes' own top-1."""

SPEED = """
## Speed

Each side was called to warm up, then all ran in turn: in one process, but for whole commands, and for what another Python runs.
The figures are medians of seconds, and each ratio says how many times as fast as the first side. Where nothing else is said
the machine had {cores} cores ({processor}).
"""


def add(run: Path, test: Path | None, tuning: str, speed: Path | None = None, cause: str = "") -> Path:
    """Copy a run's results, with its test numbers and its speed, into docs/results."""
    row = json.loads(run.read_text("utf-8"))
    row["tuning"], row["cause"] = tuning, cause
    row["config"]["output"] = None  # a path of the machine it ran on
    if test is not None:
        written = json.loads(test.read_text("utf-8"))
        if "values" in written:
            row["test"] = {key: written[key] for key in ("data", "metric", "evaluator", "precision", "values", "classes", "counts")}
        else:
            values = {key: written[key] for key in ("top1", "top5", "balanced")}
            row["test"] = {"values": values, **{key: written[key] for key in ("data", "images", "top1_by_class", "confusion")}}
    if speed is not None:
        written = json.loads(speed.read_text("utf-8"))
        row["speed"] = {key: written[key] for key in ("command", "gflops", "image", "precision", "seconds")}
        row["speed"]["command"] = re.sub(r"detector \S+", f"detector runs/{row['name']}", written["command"])
    path = RESULTS / f"{row['name']}.json"
    path.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
    return path


def numbers_of(row: dict[str, Any]) -> dict[str, float | None]:
    """The test numbers of a row; empty if it has none."""
    values: dict[str, float | None] = row.get("test", {}).get("values", {})
    return values


def classifies(row: dict[str, Any]) -> bool:
    """Whether the run trained a classifier, not a detector."""
    return row["config"].get("model", {}).get("kind") == "classifier"


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """One line of the table."""
    test, val, speed, name = numbers_of(row), row["validation"]["best"], row.get("speed"), row["name"]
    head = f"[{name}](../configs/{name}.py)"
    cost = (f"{row['core_minutes']:.1f}", f"{row['images_seen']:,}", f"{row['images_seen'] / row['core_minutes'] / 60:.2f}")
    size, tail = f"{row['parameters'] / 1e6:.1f} M", (processor_of(row["machine"]), str(row["seed"]), row.get("tuning") or "none")
    if classifies(row):
        return (head, *(_ap(numbers.get(key)) for numbers in (test, val) for key in ("top1", "balanced")), *cost, size, *tail)
    gflops = f"{speed['gflops']:.1f}" if speed else "-"
    milliseconds = _milliseconds(speed, proposals_of(row) != "-") if speed else "-"
    found = (*(_ap(test.get(key)) for key in ("AP", "AP50", "AP75")), _ap(val.get("AP")))
    return (head, *found, *cost, proposals_of(row), size, gflops, milliseconds, *tail)


def processor_of(machine: dict[str, Any]) -> str:
    """What a machine computes with, in short: ``Intel Xeon`` of ``Intel(R) Xeon(R) Processor``."""
    return " ".join(str(machine["processor"]).replace("(R)", "").replace("(TM)", "").replace("Processor", "").split())


def proposals_of(row: dict[str, Any]) -> str:
    """Where a detector that is told where to look was told to look; "-" for the others."""
    model = row["config"].get("model", {})
    told = model.get("proposals")
    if not told:
        return "-"
    warped = f", each warped to {model['warp']} px" if "warp" in model else ""
    return f"{told['max_detections']:,} of mode {told['mode']}{warped}"


def data_of(row: dict[str, Any]) -> str:
    """What a run was trained on, by name."""
    name: str = Path(row["config"]["data"]["train"]["path"]).name
    return "generated images" if name == "sample" else name


def without_cause(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Runs below half the best test AP among those on the same data that do not say why."""
    best: dict[str, float] = {}
    for row in rows:
        best[data_of(row)] = max(best.get(data_of(row), 0.0), numbers_of(row).get("AP") or 0.0)
    low = [row for row in rows if (ap := numbers_of(row).get("AP")) is not None and ap < best[data_of(row)] / 2]
    return [str(row["name"]) for row in low if not row.get("cause")]


def _milliseconds(speed: dict[str, Any], told: bool) -> str:
    return f"{1000 * statistics.median(next(iter(speed['seconds'].values()))):.0f}{' + proposals' if told else ''}"


def _ap(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def table(rows: Sequence[Sequence[str]], headings: Sequence[str]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, ("---",) * len(headings), *rows)) + "\n"


def filled(text: str, name: str, rows: Sequence[Sequence[str]], headings: Sequence[str]) -> str:
    """A page whose table between the marks of this name is made anew.

    Raises:
        ValueError: the page has no such marks.
    """
    mark, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, begun, rest = text.partition(mark)
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        raise ValueError(f"expected a table between '{mark.strip()}' and '{end.strip()}'")
    return before + mark + "\n" + (table(rows, headings) if rows else "Not measured yet.\n") + "\n" + end + after


def page() -> str:
    """The text of docs/results.md."""
    runs = [json.loads(path.read_text("utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    runs.sort(key=lambda row: -(numbers_of(row).get("AP") or 0))
    parts = [INTRODUCTION]
    for data in sorted({data_of(row) for row in runs}):
        rows = [row for row in runs if data_of(row) == data]
        for title, headings, kind in ((data, HEADINGS, False), (f"{data}, classifiers", CLASSIFIED, True)):
            if lines := [cells(row) for row in rows if classifies(row) == kind]:
                parts.append(f"\n## {title}\n\n" + table(lines, headings))
                below = [row for row in rows if classifies(row) == kind and row.get("cause")]
                parts += [f"\n**{row['name']}** is far below the others: {row['cause']}\n" for row in below]
    return "".join(parts) + speed_part() + extra()


def speed_part() -> str:
    """What tools/benchmark.py measured."""
    reports = [json.loads(path.read_text("utf-8")) for path in sorted((RESULTS / "speed").glob("*.json"))]
    if not reports:
        return ""
    machine = reports[0]["machine"]
    parts = [SPEED.format(cores=machine["cores"], processor=processor_of(machine))]
    for report in reports:
        other = "" if report["machine"]["processor"] == machine["processor"] else f" ({processor_of(report['machine'])})"
        parts.append(f"\n**{report['title']}**{other}: `{report['command']}`\n\n")
        rows = [
            (side, f"{statistics.median(times):.3g}", f"{min(times):.3g} to {max(times):.3g}", f"{report['ratios'][side]:.2f}x")
            for side, times in report["seconds"].items()
        ]
        if rows:
            parts.append(table(rows, ("side", "median s", "from to", "ratio")))
        parts.append("".join(f"\n{_indented(note)}\n" for note in report["notes"]))
    return "".join(parts)


def _indented(note: str) -> str:
    """Several lines as they are, one line as a sentence."""
    return f"{note}." if "\n" not in note else "\n".join(f"    {line}" for line in note.splitlines())


def extra() -> str:
    """The hand-written part, if there is one."""
    path = RESULTS / "notes.md"
    return "\n" + path.read_text("utf-8") if path.is_file() else ""


def main(argv: list[str] | None = None) -> int:
    """Run the script; give its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--add", type=Path, metavar="RESULTS.JSON")
    parser.add_argument("--test", type=Path, metavar="NUMBERS.JSON")
    parser.add_argument("--speed", type=Path, metavar="SPEED.JSON")
    parser.add_argument("--tuning", default="")
    parser.add_argument("--cause", default="", help="for a run that is below half the best of its table")
    options = parser.parse_args(argv)
    if options.add is not None:
        print(add(options.add, options.test, options.tuning, options.speed, options.cause))
    (DOCS / "results.md").write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
