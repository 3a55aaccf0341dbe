"""Alternating timing of several sides, and its report."""

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
from detkit.machine import bf16_support, processor

WITHOUT_BF16 = "bf16 not measured: this processor has no bfloat16 instructions, without which it is no faster than fp32"
PACKAGES = ("torch", "torchvision", "numba", "hotcoco", "pycocotools")


def prepare(threads: int | None) -> None:
    """Set torch's number of threads, and keep freed memory as the command line does, for all sides alike."""
    import torch

    from detkit.cli.process import keep_freed_memory

    if threads:
        torch.set_num_threads(threads)
    keep_freed_memory()


def in_turn(sides: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 2, before: int = 0) -> dict[str, list[float]]:
    """Time several sides alternately: all are called to warm up, then one after another in every round.

    Args:
        sides: The functions to time, by name.
        rounds: Number of timed calls of each.
        warm_up: Calls of each side before the first round.
        before: Untimed calls of a side right before each timed one: for sides that take milliseconds, which would otherwise compete with
            threads of another library that still wait for work from the previous side.

    Returns:
        The seconds of every timed call of each side.
    """
    for side in sides.values():
        for _ in range(warm_up):
            side()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            for _ in range(before):
                side()
            start = time.perf_counter()
            side()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def products(side: int = 2048, rounds: int = 5) -> str:
    """Measure this machine's current speed of matrix products in fp32 and bf16, which limits the ratio that can be expected.

    On shared machines other programs can slow down the bf16 units for minutes.
    """
    import torch

    speeds = []
    for dtype in (torch.float32, torch.bfloat16) if has_bf16() else (torch.float32,):
        matrix = torch.rand(side, side).to(dtype)
        seconds = in_turn({"product": partial(torch.mm, matrix, matrix)}, rounds)["product"]
        speeds.append(2 * side**3 / statistics.median(seconds) / 1e12)
    if len(speeds) == 1:
        return f"matrix products: fp32 {speeds[0]:.2f} TFLOP/s; {WITHOUT_BF16}"
    return f"matrix products: fp32 {speeds[0]:.2f}, bf16 {speeds[1]:.2f} TFLOP/s"


def has_bf16() -> bool:
    """Whether to measure bfloat16: without instructions for it, one table can take ten minutes."""
    return bf16_support().instructions is not None


@dataclass
class Report:
    """The result of a benchmark.

    Attributes:
        title: What was measured, in one line.
        seconds: All times of each side; the first side is the baseline.
        targets: Target speed-up of a side over the first.
        notes: Further lines.
        numbers: Further content of the JSON file.
    """

    title: str
    seconds: dict[str, list[float]] = field(default_factory=dict)
    targets: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)

    def ratios(self) -> dict[str, float]:
        """Return the speed-up of each side over the first, by medians."""
        medians = {name: statistics.median(times) for name, times in self.seconds.items()}
        first = next(iter(medians.values()), 0.0)
        return {name: first / median for name, median in medians.items()}

    def content(self) -> dict[str, Any]:
        """Return the report for JSON."""
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
        """Return the report as text."""
        lines = [self.title, ", ".join(f"{name} {value}" for name, value in machine().items()), ""]
        ratios = self.ratios()
        rows = []
        for name, times in self.seconds.items():
            target = self.targets.get(name)
            verdict = "" if target is None else f"{target:g}x: {'reached' if ratios[name] >= target else 'MISSED'}"
            spread = f"{min(times):.3f} to {max(times):.3f}"
            rows.append((name, f"{statistics.median(times):.3f}", spread, f"{ratios[name]:.2f}x", verdict))
        if rows:
            lines.append(table(rows, ("side", "median s", "range", "ratio", "target"), {"median s", "range", "ratio"}))
        return "\n".join([*lines, *self.notes, memory_line()])


def machine() -> dict[str, Any]:
    """Return processor, threads, load, instructions and versions."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return {
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "cores": cores,
        "load": round(load, 1),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "Python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
    }
