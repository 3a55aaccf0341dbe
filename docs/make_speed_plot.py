"""Draw docs/images/ap_and_time.svg: test AP against the time for one image, of the runs in docs/results on the blood cells of BCCD.

    python docs/make_speed_plot.py

One panel for each processor, because times on different processors must not be compared. A hollow circle: the time of the proposals comes
in addition. Runs without a measured time are named below. Whoever adds a run with ``make_results.py`` draws the plot again.
"""

from __future__ import annotations

import json
import math
import statistics
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from make_results import RESULTS, classifies, data_of, numbers_of, processor_of, proposals_of

from detkit.models.history import invention

OUTPUT = Path(__file__).resolve().parent / "images" / "ap_and_time.svg"
DATA = "bccd"
WIDTH, LEFT, RIGHT, LABELS = 680, 40, 372, 392
"""Width of the drawing; left and right border of the axes; left border of the labels, in pixels."""
ROW, HEAD, FOOT = 17, 34, 46
"""Height of a label, and of what is above and below the axes of a panel."""
SHORTEST = 150
"""Smallest height of the axes."""
TIMES = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
"""Ticks of the logarithmic axis; those that enclose the times of all panels are drawn."""
APS = tuple(tick / 10 for tick in range(8))
STYLE = (
    "text{font-family:Helvetica,Arial,sans-serif;fill:#223;font-size:13px}.head{font-weight:bold}.small{font-size:11px;fill:#556}"
    ".grid{stroke:#dde}.lead{stroke:#99a;stroke-width:.7;fill:none}"
)


class Point(NamedTuple):
    """A run: its config's name, the year of its kind, time in milliseconds, test AP, and whether proposals take more time."""

    name: str
    year: str
    milliseconds: float | None
    ap: float
    proposals: bool
    processor: str

    @property
    def label(self) -> str:
        """The text next to it."""
        more = " + proposals" if self.proposals else ""
        return f"{self.name}{f' ({self.year})' if self.year else ''}: {self.ap:.3f}, {self.milliseconds or 0:.0f} ms{more}"


def points() -> list[Point]:
    """Return the detectors on BCCD whose test AP was measured, best first."""
    rows = [json.loads(path.read_text("utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    rows = [row for row in rows if not classifies(row) and data_of(row) == DATA and numbers_of(row).get("AP") is not None]
    return sorted(map(_point, rows), key=lambda point: (-point.ap, point.name))


def _point(row: dict[str, Any]) -> Point:
    kind, speed = row["config"]["model"]["kind"], row.get("speed")
    seconds = statistics.median(next(iter(speed["seconds"].values()))) if speed else None
    return Point(
        row["name"].removesuffix(f"_{DATA}").removesuffix("_lite0"),
        str(invention(kind).month)[:4] if invention(kind).month < float("inf") else "",
        None if seconds is None else 1000 * seconds,
        numbers_of(row)["AP"] or 0.0,
        proposals_of(row) != "-",
        processor_of(row["machine"]),
    )


def drawing(rows: list[Point]) -> str:
    """Return the SVG."""
    timed = [row for row in rows if row.milliseconds is not None]
    processors = sorted({row.processor for row in timed}, key=lambda name: -sum(row.processor == name for row in timed))
    parts, top = [], 0.0
    for processor in processors:
        shown = [row for row in timed if row.processor == processor]
        lines, height = panel(processor, shown, top)
        parts, top = [*parts, *lines], top + height
    if missing := ", ".join(row.name for row in rows if row.milliseconds is None):
        parts.append(f'<text x="{LEFT}" y="{top + 12:.0f}" class="small">not timed yet: {escape(missing)}</text>')
        top += 22
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top:.0f}" viewBox="0 0 {WIDTH} {top:.0f}" role="img">'
    title = "<title>test AP and time for one image of detectors trained on the blood cells of BCCD</title>"
    return "\n".join([head, title, f"<style>{STYLE}</style>", '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>", ""])


def panel(processor: str, rows: list[Point], top: float) -> tuple[list[str], float]:
    """Return the elements of a processor's panel, and its height."""
    height = max(SHORTEST, ROW * len(rows))
    low, high = top + HEAD + height, top + HEAD
    parts = [f'<text x="{LEFT}" y="{top + 20:.0f}" class="head">{escape(processor)}: test AP and milliseconds for one image</text>']
    for ap in APS:
        parts += [_line(LEFT, _y(ap, low, high), RIGHT, _y(ap, low, high)), _text(LEFT - 6, _y(ap, low, high) + 4, f"{ap:.1f}", "end")]
    for time in TIMES:
        parts += [_line(_x(time), low, _x(time), high), _text(_x(time), low + 18, f"{time:,}", "middle")]
    for index, row in enumerate(rows):
        x, y = _x(row.milliseconds or TIMES[0]), _y(row.ap, low, high)
        at = high + (index + 0.5) * height / len(rows)
        fill = "white" if row.proposals else "#2b6cb0"
        parts += [
            f'<path d="M{x:.1f} {y:.1f} L{RIGHT:.1f} {at:.1f} H{LABELS - 4}" class="lead"/>',
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{fill}" stroke="#2b6cb0" stroke-width="1.6"/>',
            _text(LABELS, at + 4.5, row.label, "start"),
        ]
    return parts, HEAD + height + FOOT


def _x(milliseconds: float) -> float:
    """Return where a time is on the logarithmic axis."""
    share = math.log(milliseconds / TIMES[0]) / math.log(TIMES[-1] / TIMES[0])
    return LEFT + share * (RIGHT - LEFT)


def _y(ap: float, low: float, high: float) -> float:
    return low + ap / APS[-1] * (high - low)


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="grid"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


if __name__ == "__main__":
    OUTPUT.write_text(drawing(points()), encoding="utf-8")
