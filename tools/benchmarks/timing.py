"""Timing of sides in turn, and the report on it."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from typing import Any

from detkit.cli.report import memory_line, table
from detkit.machine import processor

PACKAGES = ("torch", "torchvision", "numba", "hotcoco", "pycocotools")


def prepare(threads: int | None) -> None:
    """Set torch's threads, and keep freed memory as the command line does: for both sides alike."""
    import torch

    from detkit.cli.allocator import keep_freed_memory

    if threads:
        torch.set_num_threads(threads)
    keep_freed_memory()


def in_turn(sides: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 2, before: int = 0) -> dict[str, list[float]]:
    """Seconds of each side: all are called to warm up, then one after another, round by round.

    Args:
        sides: What is timed, by name.
        rounds: How often each is timed.
        warm_up: Calls of each side before the first round.
        before: Calls of a side right before each that is timed: for sides of milliseconds, which else would compete with the threads
            of another library that still wait for more work of the side before.
    """
    for side in sides.values():
        for _ in range(warm_up):
            side()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            for _ in range(before):
                side()
            begun = time.perf_counter()
            side()
            seconds[name].append(time.perf_counter() - begun)
    return seconds


def products(side: int = 2048, rounds: int = 5) -> str:
    """How fast this machine multiplies matrices now, in fp32 and in bf16: it says what ratios of the two can be expected.

    On shared machines the units that multiply bf16 are slowed down, for minutes, by what others run.
    """
    import torch

    speeds = []
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.rand(side, side).to(dtype)
        seconds = in_turn({"product": partial(torch.mm, matrix, matrix)}, rounds)["product"]
        speeds.append(2 * side**3 / statistics.median(seconds) / 1e12)
    return f"matrix products: fp32 {speeds[0]:.2f}, bf16 {speeds[1]:.2f} TFLOP/s"


@dataclass
class Report:
    """What was measured.

    Attributes:
        title: What, in one line.
        seconds: All times of each side, the one to beat first.
        targets: For a side, how many times as fast as the first it should be.
        notes: Further lines.
        numbers: Whatever else belongs into the JSON file.
    """

    title: str
    seconds: dict[str, list[float]] = field(default_factory=dict)
    targets: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)

    def ratios(self) -> dict[str, float]:
        """How many times as fast as the first side each one is, by medians."""
        medians = {name: statistics.median(times) for name, times in self.seconds.items()}
        first = next(iter(medians.values()), 0.0)
        return {name: first / median for name, median in medians.items()}

    def content(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "title": self.title,
            "machine": machine(),
            "seconds": self.seconds,
            "ratios": self.ratios(),
            "targets": self.targets,
            "notes": self.notes,
            **self.numbers,
        }

    def text(self) -> str:
        """All of it, for people."""
        lines = [self.title, ", ".join(f"{name} {value}" for name, value in machine().items()), ""]
        ratios = self.ratios()
        rows = []
        for name, times in self.seconds.items():
            target = self.targets.get(name)
            wanted = "" if target is None else f"{target:g}x: {'reached' if ratios[name] >= target else 'MISSED'}"
            spread = f"{min(times):.3f} to {max(times):.3f}"
            rows.append((name, f"{statistics.median(times):.3f}", spread, f"{ratios[name]:.2f}x", wanted))
        if rows:
            lines.append(table(rows, ("side", "median s", "from to", "ratio", "target"), {"median s", "from to", "ratio"}))
        return "\n".join([*lines, *self.notes, memory_line()])


def machine() -> dict[str, Any]:
    """Threads, instructions and versions."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return {
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "cores": cores,
        "load": round(busy, 1),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "Python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
    }
