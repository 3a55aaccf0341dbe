"""Start-up time of processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.timing import Report, in_turn

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {
    "import torch": (sys.executable, "-c", "import torch"),
    "import detkit": (sys.executable, "-c", "import detkit"),
    "tools/detect.py --help": (sys.executable, "tools/detect.py", "--help"),
    "tools/train.py --help": (sys.executable, "tools/train.py", "--help"),
    "from detkit import load": (sys.executable, "-c", "from detkit import load"),
}
LIMIT = 0.5


def startup(rounds: int) -> Report:
    """Time each command; help must be printed within half a second."""
    seconds = in_turn({name: partial(_run, command) for name, command in COMMANDS.items()}, rounds, warm_up=1)
    slowest = max(min(times) for name, times in seconds.items() if "--help" in name)
    verdict = "reached" if slowest <= LIMIT else "MISSED"
    return Report("start-up", seconds, {}, [f"help within {LIMIT} s: {verdict} ({slowest:.2f} s at best)"])


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
