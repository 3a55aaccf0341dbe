"""Update the tables in docs/selective_search.md from the measurements of tools/benchmark.py.

    python tools/benchmark.py propose fast --data VOC --opencv-python contrib/bin/python --json docs/results/speed/propose_fast_VOC.json
    python docs/make_proposal_tables.py

It reads every ``propose_*.json`` in docs/results/speed.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from make_results import filled

DOCS = Path(__file__).resolve().parent
PAGE = DOCS / "selective_search.md"
RESULTS = DOCS / "results" / "speed"
MODES = ("single", "fast", "quality")
QUALITY = (
    *("mode", "images", "source", "proposals", "recall .5", "recall .7", "best IoU", "MABO"),
    *("cut: .5", "cut: IoU", "cut: MABO"),
)
SPEED = ("mode", "images", "source", "median s", "detkit's speed-up", "ratio of processor time")
METRICS = ("recall_50", "recall_70", "best_overlap", "mabo")
CUT = ("cut_recall_50", "cut_best_overlap", "cut_mabo")


def reports() -> list[dict[str, Any]]:
    """Return the measurements, sorted by mode and data."""
    measured: list[dict[str, Any]] = [json.loads(path.read_text("utf-8")) for path in RESULTS.glob("propose_*.json")]
    return sorted(measured, key=lambda report: (MODES.index(report["mode"]), report["data"] != "voc100", report["data"]))


def quality(report: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return table rows with the recall of each source."""
    rows = []
    for row in report["quality"]:
        metrics = [f"{row[name]:.3f}" for name in METRICS]
        cut = [f"{row[name]:.3f}" if name in row and row["side"] != "OpenCV" else "-" for name in CUT]
        rows.append((f"`{report['mode']}`", images(report), row["side"], f"{row['proposals']:,.0f}", *metrics, *cut))
    return rows


def speed(report: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return table rows with the speed of each source, and one for a cold start."""
    rows = []
    for side, times in report["seconds"].items():
        ratios = [report.get(f"times_{which}_{side}") for which in ("as_fast_as", "less_processor_time_than")]
        cells = ["-" if ratio is None else f"{ratio:.1f}" for ratio in ratios]
        rows.append((f"`{report['mode']}`", images(report), side, f"{statistics.median(times):.3f}", *cells))
    if rows:
        rows.append((*rows[-1][:2], "detkit, first image in a process", f"{report['cold_seconds']:.3f}", "-", "-"))
    return rows


def images(report: dict[str, Any]) -> str:
    """Return a description of the images."""
    return f"{report['images']} of {report['data']}"


def page(text: str) -> str:
    """Return the page with updated tables."""
    tables = {"quality": (QUALITY, quality), "speed": (SPEED, speed)}
    for name, (headings, rows_of) in tables.items():
        text = filled(text, name, [row for report in reports() for row in rows_of(report)], headings)
    return text


def main() -> int:
    """Run the script and return its exit code."""
    PAGE.write_text(page(PAGE.read_text("utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
