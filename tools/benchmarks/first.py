"""How long it takes from nothing to the first drawn image."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.timing import Report, in_turn

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "python tools/detect.py"
LIMITS = {
    "the whole command": (5.0, "s"),
    "reading the image and detecting, for the first time": (0.15, "s"),
    "peak memory": (1000.0, "MB"),
}


def first(rounds: int) -> Report:
    """Seconds of the command without arguments, which the detector inside the package answers, in a new process and an empty folder."""
    said: list[str] = []

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, str(ROOT / "tools" / "detect.py")]
            said.append(subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout)

    seconds = in_turn({COMMAND: run}, rounds, warm_up=1)
    told = [numbers(text) for text in said[1:]]
    medians = dict(zip(LIMITS, map(statistics.median, (seconds[COMMAND], *zip(*told, strict=True))), strict=True))
    notes = [verdict(what, value) for what, value in medians.items()]
    return Report("First image", seconds, {}, notes, {"medians": medians})


def numbers(text: str) -> tuple[float, float]:
    """What the command says of itself: seconds for its image, and the peak of its memory in MB.

    Raises:
        ValueError: it does not say them.
    """
    took, peak = re.search(r"detections? in ([\d.]+) (ms|s)\b", text), re.search(r"peak memory ([\d,]+) MB", text)
    if took is None or peak is None:
        raise ValueError(f"{COMMAND}: expected a time and a peak of memory, got {text!r}")
    return float(took[1]) / (1000 if took[2] == "ms" else 1), float(peak[1].replace(",", ""))


def verdict(what: str, value: float) -> str:
    """A measured value beside its limit."""
    limit, unit = LIMITS[what]
    return f"{what}: {value:.3g} {unit}, at most {limit:g} wanted: {'reached' if value <= limit else 'MISSED'}"
