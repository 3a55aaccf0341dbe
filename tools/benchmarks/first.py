"""Time from starting a process to the first drawn image."""

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
    "the whole command": (1.2, "s"),
    "reading the image and detecting, for the first time": (0.15, "s"),
    "peak memory": (300.0, "MB"),
}


def first(rounds: int) -> Report:
    """Time the command without arguments, with the detector inside the package, in a new process and an empty folder."""
    outputs: list[str] = []

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, str(ROOT / "tools" / "detect.py")]
            outputs.append(subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout)

    seconds = in_turn({COMMAND: run}, rounds, warm_up=1)
    measured = [numbers(text) for text in outputs[1:]]
    medians = dict(zip(LIMITS, map(statistics.median, (seconds[COMMAND], *zip(*measured, strict=True))), strict=True))
    notes = [verdict(name, value) for name, value in medians.items()]
    return Report("First image", seconds, {}, notes, {"medians": medians})


def numbers(text: str) -> tuple[float, float]:
    """Parse the output of the command: seconds for its image, and peak memory in MB.

    Raises:
        ValueError: If the output does not contain them.
    """
    seconds, peak = re.search(r"detections? in ([\d.]+) (ms|s)\b", text), re.search(r"peak memory ([\d,]+) MB", text)
    if seconds is None or peak is None:
        raise ValueError(f"{COMMAND}: expected a time and a peak memory, got {text!r}")
    return float(seconds[1]) / (1000 if seconds[2] == "ms" else 1), float(peak[1].replace(",", ""))


def verdict(name: str, value: float) -> str:
    """Format a measured value with its limit."""
    limit, unit = LIMITS[name]
    return f"{name}: {value:.3g} {unit}, limit {limit:g}: {'reached' if value <= limit else 'MISSED'}"
