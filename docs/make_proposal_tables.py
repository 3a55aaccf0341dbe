"""Fill the tables of docs/selective_search.md from what tools/benchmark.py measured.

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
QUALITY = ("mode", "images", "", "proposals", "recall at .5", "at .7", "best IoU", "MABO", "cut: recall at .5", "best IoU", "MABO")
SPEED = ("mode", "images", "", "median s", "detkit is so many times as fast", "in so many times less processor time")
SHARES = ("recall_50", "recall_70", "best_overlap", "mabo")
CUT = ("cut_recall_50", "cut_best_overlap", "cut_mabo")


def reports() -> list[dict[str, Any]]:
    """What was measured, by mode and by data."""
    found: list[dict[str, Any]] = [json.loads(path.read_text("utf-8")) for path in RESULTS.glob("propose_*.json")]
    return sorted(found, key=lambda one: (MODES.index(one["mode"]), one["data"] != "voc100", one["data"]))


def quality(report: dict[str, Any]) -> list[tuple[str, ...]]:
    """How well objects are met: a line for each side."""
    lines = []
    for row in report["quality"]:
        shares = [f"{row[name]:.3f}" for name in SHARES]
        cut = [f"{row[name]:.3f}" if name in row and row["side"] != "OpenCV" else "-" for name in CUT]
        lines.append((f"`{report['mode']}`", images(report), row["side"], f"{row['proposals']:,.0f}", *shares, *cut))
    return lines


def speed(report: dict[str, Any]) -> list[tuple[str, ...]]:
    """How fast: a line for each side, and one for a cold start."""
    lines = []
    for side, times in report["seconds"].items():
        ratios = [report.get(f"times_{which}_{side}") for which in ("as_fast_as", "less_processor_time_than")]
        cells = ["-" if ratio is None else f"{ratio:.1f}" for ratio in ratios]
        lines.append((f"`{report['mode']}`", images(report), side, f"{statistics.median(times):.3f}", *cells))
    if lines:
        lines.append((*lines[-1][:2], "detkit, first image of a process", f"{report['cold_seconds']:.3f}", "-", "-"))
    return lines


def images(report: dict[str, Any]) -> str:
    """Which they are."""
    return f"{report['images']} of {report['data']}"


def page(text: str) -> str:
    """The page, with the tables between their marks made anew."""
    made = {"quality": (QUALITY, quality), "speed": (SPEED, speed)}
    for name, (headings, lines_of) in made.items():
        lines = [line for report in reports() for line in lines_of(report)]
        text = filled(text, name, lines, headings)
    return text


def main() -> int:
    """Run the script; give its exit status."""
    PAGE.write_text(page(PAGE.read_text("utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
