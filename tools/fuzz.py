"""Feed every reader and loader with damaged, foreign and hostile files: ``python tools/fuzz.py --cases 100000``.

The cases are those of ``tests/fuzz``, which the test suite runs a few of. The outcome of each must be right, or one sentence that names
the file; no traceback, nothing over five seconds of processor time, and no more memory than the limit. Cases run in worker processes;
one that hangs or dies is reported, and its worker is started again. The exit code is 1 if there are faults.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "fuzz"))

HANG_SECONDS = 60.0
"""Seconds of a clock after which a worker is killed; several times the limit on processor time, because the machine may be busy."""
PROGRESS_SECONDS = 60.0
CASES_OF_PROCESS = 5_000
"""Cases after which a worker process is replaced: what libraries keep of many files would count against the limit on memory."""


def main(words: Sequence[str] | None = None) -> int:
    """Run the cases, print the faults by cause, and return the exit code."""
    from fuzzing import TARGETS

    args = _parser(list(TARGETS)).parse_args(words)
    if args.repeat:
        return _repeat(args.repeat, args.seed)
    report = Report()
    names = args.targets or list(TARGETS)
    jobs = [
        (names[number % len(names)], number // len(names))
        for number in range(args.first * len(names), args.first * len(names) + args.cases)
    ]
    started = time.monotonic()
    printed = started
    pool = [Worker(jobs[index :: args.workers], args.seed, args.megabytes) for index in range(args.workers)]
    with suppress(KeyboardInterrupt):  # what was found until then is reported
        while any(worker.is_running() for worker in pool):
            time.sleep(0.2)
            for worker in pool:
                worker.watch(report)
            if time.monotonic() - printed > PROGRESS_SECONDS:
                printed = time.monotonic()
                print(f"{sum(report.cases.values()):,} of {args.cases:,} cases, {len(report.causes)} causes of faults so far", flush=True)
    seconds = time.monotonic() - started
    print(report.text(seconds))
    if args.json:
        about = {
            "command": f"python tools/fuzz.py --cases {args.cases} --seed {args.seed}",
            "revision": revision(),
            "seconds": round(seconds),
        }
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(about | report.rows(), indent=1) + "\n", "utf-8")
    return 1 if report.causes else 0


def revision() -> str:
    """Return the commit of the code, with a plus sign if files differ from it; empty outside of a repository."""
    folder = Path(__file__).resolve().parents[1]
    run = [subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False).stdout.strip() for words in _GIT]
    return run[0] + ("+" if run[1] else "")


_GIT = (("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "--untracked-files=no", "--", "detkit", "tests/fuzz", "tools"))


def _parser(names: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000, help="number of cases, spread evenly over the targets (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first case of each target (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="other cases for each value (default: %(default)s)")
    parser.add_argument("--targets", nargs="+", choices=names, metavar="TARGET", help=f"only these: {', '.join(names)}")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one per processor)")
    parser.add_argument("--megabytes", type=int, default=1500, help="memory that a case may take (default: %(default)s)")
    parser.add_argument("--repeat", metavar="TARGET/NUMBER", help="run one case, and show its files and its error")
    parser.add_argument("--json", type=Path, help="write the counts and the faults to this file")
    return parser


@dataclass
class Report:
    """Counts of cases, and the faults grouped by kind and place."""

    cases: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    causes: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def add(self, target: str, number: int, fault: tuple[str, str, str] | bool) -> None:
        """Add the outcome of a case: whether its files were refused, or kind, place and text of its fault."""
        self.cases[target] += 1
        if isinstance(fault, bool):
            self.refused[target] += fault
        else:
            kind, place, text = fault
            cause = (target, kind, place)
            self.counts[cause] += 1
            self.causes.setdefault(cause, [f"{target}/{number}", text])

    def text(self, seconds: float) -> str:
        """Return the faults, most frequent first, and a summary."""
        lines = [
            f"{count:7,}  {kind}: {place}: {': '.join(self.causes[cause])}"
            for cause, count in self.counts.most_common()
            for _, kind, place in [cause]
        ]
        cases, faults = sum(self.cases.values()), sum(self.counts.values())
        summary = f"{cases:,} cases of {len(self.cases)} targets in {seconds:.0f} s: {faults:,} faults of {len(self.causes)} causes"
        return "\n".join([*lines, summary])

    def rows(self) -> dict[str, Any]:
        """Return the report, JSON-serializable."""
        faults = [
            {
                "target": cause[0],
                "kind": cause[1],
                "place": cause[2],
                "count": count,
                "first": self.causes[cause][0],
                "text": self.causes[cause][1],
            }
            for cause, count in self.counts.most_common()
        ]
        outcomes = {
            target: {"cases": count, "read": count - self.refused[target] - self._faults(target), "refused": self.refused[target]}
            for target, count in sorted(self.cases.items())
        }
        return {"cases": sum(self.cases.values()), "targets": outcomes, "faults": faults}

    def _faults(self, target: str) -> int:
        return sum(count for cause, count in self.counts.items() if cause[0] == target)


class Worker:
    """A process that runs cases in order, watched by this one.

    Args:
        jobs: Targets and numbers of its cases.
        seed: The seed of all cases.
        megabytes: Memory that it may take in addition to what it has after the imports.
    """

    def __init__(self, jobs: list[tuple[str, int]], seed: int, megabytes: int) -> None:
        self._jobs, self._seed, self._megabytes = jobs, seed, megabytes
        self._done = 0
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._end = min(self._done + CASES_OF_PROCESS, len(self._jobs))
        self._results, sender = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_work, args=(self._jobs[self._done : self._end], self._seed, self._megabytes, sender), daemon=True
        )
        self._process.start()
        sender.close()
        self._last = time.monotonic() + HANG_SECONDS  # the imports take a while

    def is_running(self) -> bool:
        """Return whether cases are left."""
        return self._done < len(self._jobs)

    def watch(self, report: Report) -> None:
        """Collect the results; report a case that hangs or kills its process, and go on with the next one."""
        if not self.is_running():
            return
        try:
            while self._results.poll():
                report.add(*self._jobs[self._done], self._results.recv())
                self._done, self._last = self._done + 1, max(self._last, time.monotonic())
            died = False
        except EOFError:  # the process has closed its end of the pipe
            died = self._done < self._end
            if not died and self.is_running():
                self._process.join()
                self._start()
        if died or (self.is_running() and time.monotonic() - self._last > HANG_SECONDS):
            self._process.kill()
            self._process.join()
            fault = ("crash", "", f"exit code {self._process.exitcode}") if died else ("hang", "", f"killed after {HANG_SECONDS:.0f} s")
            report.add(*self._jobs[self._done], fault)
            self._done += 1
            if self.is_running():
                self._start()


def _work(jobs: list[tuple[str, int]], seed: int, megabytes: int, results: Any) -> None:
    """Run cases in a worker process and send None or the fault of each."""
    from fuzzing import TARGETS, random_of, verdict

    _prepare(megabytes)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as root:
        for target, number in jobs:
            with tempfile.TemporaryDirectory(dir=root) as folder:
                try:
                    case = TARGETS[target](random_of(target, number, seed), Path(folder))
                except Exception as error:  # a fault of the suite, which must not end the process
                    results.send(("not made", type(error).__name__, str(error)[:300]))
                    continue
                refusals: list[str] = []
                fault = verdict(case, refusals)
            results.send(bool(refusals) if fault is None else (fault.kind, fault.place, fault.text))


def _prepare(megabytes: int) -> None:
    """Silence libraries, and limit the memory of this process where the system can."""
    import torch

    torch.set_num_threads(1)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    statm = Path("/proc/self/statm")
    if statm.is_file():
        used = int(statm.read_text().split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (used + megabytes * 1_000_000,) * 2)


def _repeat(name: str, seed: int) -> int:
    """Run one case here; print its verdict and its traceback, and keep its files."""
    from fuzzing import TARGETS, random_of, verdict

    target, _, number = name.partition("/")
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{target}-{number}-"))
    case = TARGETS[target](random_of(target, int(number), seed), folder)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        print(f"{path} ({path.stat().st_size:,} bytes)")
    try:
        case.read()
    except Exception:
        traceback.print_exc()
    fault = verdict(case)
    print(fault or "held")
    return 0 if fault is None else 1


if __name__ == "__main__":
    raise SystemExit(main())
