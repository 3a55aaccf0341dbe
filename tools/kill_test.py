"""Kill training, detection, packing, proposals, feature caching and export at random times; check what is left and that each can go on.

    python tools/kill_test.py                          50 kills, written to docs/results/faults/kill_test.json
    python tools/kill_test.py --kills 5 --jobs export

After each kill every file must be complete. Then the command runs again, and a training is resumed: it must succeed, end with the results
of an undisturbed run, and leave no temporary file. Needs a system with ``fork``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path[:0] = [str(folder) for folder in Path(__file__).resolve().parents[:2]]
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from kill_jobs import Job, jobs, parquet_rows
from PIL import Image

from detkit.checkpoint import load_checkpoint, load_state
from detkit.data.synthetic import make_sample

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results" / "faults" / "kill_test.json"
_MAX_TRIES = 5
"""Commands that are started for each kill, at most: one that ends before its kill is not counted."""
LIMIT_SECONDS = 600.0
"""Longest time of one command."""


@dataclass
class Tally:
    """Counts of one job.

    Attributes:
        kills: Commands that were killed.
        resumed: Trainings that had a state to resume from.
        temporary_files: Temporary files that the killed commands left, all of which the next command removes.
        problems: What was torn, left behind, failed or different, in words.
    """

    kills: int = 0
    resumed: int = 0
    temporary_files: int = 0
    problems: list[str] = field(default_factory=list)


def start(words: Sequence[str], log: Path) -> int:
    """Start a command in a forked process, which has imported everything, and return its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        with log.open("ab", buffering=0) as file:
            for descriptor in (1, 2):
                os.dup2(file.fileno(), descriptor)
        os.chdir(log.parent)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        from detkit.cli.main import main

        torch.set_num_threads(1)
        code = main(list(words))
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def finish(child: int, seconds: float) -> int | None:
    """Return the exit code of a command that ends within some seconds; None otherwise."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    return None


def kill(child: int) -> None:
    """Kill a command with its worker processes."""
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)


def complete(path: Path) -> None:
    """Read a file whole; it raises an error if the file is torn."""

    def lines(file: Path) -> list[Any]:
        return [json.loads(line) for line in file.read_text("utf-8").splitlines(keepends=True) if line.endswith("\n")]

    readers: dict[str, Callable[[Path], Any]] = {
        ".safetensors": load_checkpoint,
        ".state": load_state,
        ".json": lambda file: json.loads(file.read_text("utf-8")),
        ".jsonl": lines,
        ".partial": lines,
        ".npz": lambda file: {**np.load(file, allow_pickle=False)},
        ".jpg": lambda file: Image.open(file).load(),
        ".png": lambda file: Image.open(file).load(),
        ".onnx": _read_onnx,
        ".parquet": parquet_rows,
    }
    if path.suffix in readers:
        readers[path.suffix](path)


def _read_onnx(path: Path) -> None:
    import onnx

    onnx.checker.check_model(onnx.load(path))


def torn(folder: Path) -> list[str]:
    """Return the files below a folder that are not complete, with the reason."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and ".tmp" not in path.suffixes:
            try:
                complete(path)
            except Exception as error:
                found.append(f"{path.relative_to(folder)}: {type(error).__name__}: {str(error)[:200]}")
    return found


def temporary_files(folder: Path) -> list[Path]:
    """Return the temporary files and folders below a folder."""
    return [path for pattern in ("*.tmp*", "regions-*") for path in folder.rglob(pattern)]


def kill_once(job: Job, folder: Path, seconds: float, expected: Any, tally: Tally) -> float | None:
    """Kill a job after some seconds, check what it left, run it again and check the result.

    Returns:
        The duration of the job if it ended before, so that it was not killed; else None.
    """
    log = folder.with_suffix(".log")
    folder.mkdir()
    began, child = time.monotonic(), start(job.command(folder), log)
    if finish(child, seconds) is not None:
        return time.monotonic() - began
    kill(child)
    tally.kills += 1
    tally.temporary_files += len(temporary_files(folder))
    tally.problems += [f"{folder.name}: torn after a kill at {seconds:.2f} s: {line}" for line in torn(folder)]
    words = job.again(folder)
    tally.resumed += "--resume" in words
    child = start(words, log)
    code = finish(child, LIMIT_SECONDS)
    if code is None:
        kill(child)
    if code != 0:
        last = (log.read_text(errors="replace").strip().splitlines() or [""])[-1]
        tally.problems.append(f"{folder.name}: {' '.join(words[:2])} ended with {code} after a kill at {seconds:.2f} s: {last[:300]}")
        return None
    tally.problems += [f"{folder.name}: torn at the end: {line}" for line in torn(folder)]
    tally.problems += [f"{folder.name}: left behind: {path.relative_to(folder)}" for path in temporary_files(folder)]
    if job.result(folder) != expected:
        tally.problems.append(f"{folder.name}: another result than that of an undisturbed run, after a kill at {seconds:.2f} s")
    return None


def undisturbed(job: Job, folder: Path) -> tuple[float, Any]:
    """Run a job without a kill; return its duration in seconds and its result."""
    folder.mkdir()
    began, log = time.monotonic(), folder.with_suffix(".log")
    code = finish(start(job.command(folder), log), LIMIT_SECONDS)
    if code != 0:
        raise RuntimeError(f"{folder.name}: ended with {code} without a kill: {log.read_text(errors='replace')[-2000:]}")
    return time.monotonic() - began, job.result(folder)


def run(kills: int, names: Sequence[str], seed: int, work: Path) -> dict[str, Tally]:
    """Kill each of the named jobs in turn until there were that many kills."""
    from detkit import zoo  # imported before the forks, as is all that the commands need

    zoo.names()
    make_sample(work / "data", images=8, val_images=4, short_side=96)
    chosen = {name: job for name, job in jobs(work / "data").items() if name in names}
    durations = {name: undisturbed(job, work / f"{name}-undisturbed") for name, job in chosen.items()}
    numbers, tallies = random.Random(seed), {name: Tally() for name in chosen}
    for number in range(_MAX_TRIES * kills):
        done = sum(tally.kills for tally in tallies.values())
        if done == kills:
            break
        name = min(tallies, key=lambda job: tallies[job].kills)
        seconds, expected = durations[name]
        moment = seconds * numbers.uniform(chosen[name].begin, 1.0)
        ended = kill_once(chosen[name], work / f"{name}-{number}", moment, expected, tallies[name])
        if ended is not None:  # the machine is faster than it was
            durations[name] = ended, expected
            continue
        problems = sum(len(tally.problems) for tally in tallies.values())
        print(f"{done + 1} of {kills}: {name} after {moment:.2f} s; problems so far: {problems}", flush=True)
    return tallies


def main(argv: Sequence[str] | None = None) -> int:
    """Kill, print a line for each kill and a table, and return 1 if anything was torn, left behind or different."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="number of commands to kill (default: 50)")
    parser.add_argument("--jobs", nargs="+", default=list(jobs(Path())), choices=list(jobs(Path())), help="what to kill (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the times (default: 0)")
    parser.add_argument("--json", type=Path, default=RESULTS, help=f"file for the counts (default: {RESULTS.relative_to(ROOT)})")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="detkit-kill-") as work:
        tallies = run(options.kills, options.jobs, options.seed, Path(work))
    rows = {name: vars(tally) for name, tally in tallies.items()}
    for name, tally in tallies.items():
        counts = f"{tally.kills} kills, {tally.resumed} resumed, {tally.temporary_files} temporary files left"
        print(f"{name}: {counts}, {len(tally.problems)} problems")
        print("".join(f"  {problem}\n" for problem in tally.problems), end="")
    options.json.write_text(json.dumps({"command": "python tools/kill_test.py", "seed": options.seed, "jobs": rows}, indent=1) + "\n")
    return int(any(tally.problems for tally in tallies.values()))


if __name__ == "__main__":
    raise SystemExit(main())
