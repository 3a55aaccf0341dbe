"""Start-up time of processes, and the parts of the time to the first box."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.timing import Report, in_turn
from detkit.cli.inputs import sample_photograph

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {
    "import torch": (sys.executable, "-c", "import torch"),
    "import detkit": (sys.executable, "-c", "import detkit"),
    "tools/detect.py --help": (sys.executable, "tools/detect.py", "--help"),
    "tools/train.py --help": (sys.executable, "tools/train.py", "--help"),
    "from detkit import load": (sys.executable, "-c", "from detkit import load"),
}
DETECT = "tools/detect.py PHOTO"
LIMITS = {"--help": 0.5, DETECT: 1.2}
"""Seconds that commands whose names contain these words may take."""


def startup(rounds: int) -> Report:
    """Time each command, and each part of the detection on one photograph."""
    with tempfile.TemporaryDirectory() as folder:
        photo = str(sample_photograph())
        detect = (sys.executable, str(ROOT / "tools" / "detect.py"), photo, "--output", folder)
        commands = {**COMMANDS, DETECT: detect}
        seconds = in_turn({name: partial(_run, command) for name, command in commands.items()}, rounds, warm_up=1)
        parts = [_parts(photo, folder) for _ in range(rounds)]
    notes = []
    for word, limit in LIMITS.items():
        slowest = max(min(times) for name, times in seconds.items() if word in name)
        notes.append(f"{word.strip('-')} within {limit} s: {'reached' if slowest <= limit else 'MISSED'} ({slowest:.2f} s at best)")
    medians = {name: statistics.median(row[name] for row in parts) for name in parts[0]}
    notes.append(f"to the first box, median milliseconds: {', '.join(f'{name} {1000 * value:.0f}' for name, value in medians.items())}")
    return Report("start-up", seconds, {}, notes, {"parts": medians})


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)


def _parts(photo: str, folder: str) -> dict[str, float]:
    """Return the seconds of each part of a detection in a new process, see :mod:`benchmarks.first_box`, and those of ending it."""
    script = str(Path(__file__).with_name("first_box.py"))
    start = time.time()
    output = subprocess.run(
        [sys.executable, script, str(start), photo, folder], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    total = time.time() - start
    parts: dict[str, float] = json.loads(output)
    return {**parts, "exit": total - sum(parts.values()), "total": total}
