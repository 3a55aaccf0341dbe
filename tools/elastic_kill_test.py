"""Kill processes of trainings with two processes by SIGKILL, and check that torchrun's restarts lose nothing.

    python tools/elastic_kill_test.py                  20 kills, written to docs/results/scaling/elastic_kill_test.json
    python tools/elastic_kill_test.py --kills 3 --json /tmp/kills.json

Each training must end without an error, with the number of images seen and the weights, bit for bit, of one that nobody disturbed. Needs
Linux, whose ``/proc`` lists the processes that torchrun has started.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from detkit.checkpoint import load_checkpoint
from detkit.data.synthetic import make_sample
from detkit.training.loggers.metrics_file import read_rows

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results" / "scaling" / "elastic_kill_test.json"
KILLS_PER_RUN = 5
LIMIT_SECONDS = 900.0
"""Longest time without a new step."""
STEPS, BATCH = 60, 2
OVERRIDES = (
    *("training.budget=none", f"training.steps={STEPS}", "training.evaluations=3", "training.log_every=1", "training.save_minutes=0.01"),
    *("model.preprocess.short_side=64", "model.preprocess.long_side=96", "model.neck.out_channels=8", "model.region.head.hidden=32"),
    *(f"loader.batch_size={BATCH}", "loader.workers=0", "evaluation.max_images=2", "training.precision=fp32"),
)


@dataclass
class KilledRun:
    """A training whose processes were killed.

    Attributes:
        images_seen: Images seen at its end.
        kills: Rank and last logged step of each kill.
        repeated_steps: Steps that were made again after a kill, over all kills.
        problems: What differs from the undisturbed training, in words.
    """

    images_seen: int = 0
    kills: list[dict[str, int]] = field(default_factory=list)
    repeated_steps: int = 0
    problems: list[str] = field(default_factory=list)


def torchrun(*options: str) -> list[str]:
    """Return the words of ``torchrun`` by this interpreter."""
    return [sys.executable, "-m", "torch.distributed.run", *options, "-m", "detkit"]


def start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, with one thread a process."""
    with log.open("ab") as file:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "DETKIT_NO_REPORT": "1"}
        return subprocess.Popen(command, stdout=file, stderr=file, env=environment, start_new_session=True, cwd=log.parent)


def workers(launcher: int) -> dict[int, int]:
    """Return the process ids of the training processes that a ``torchrun`` process has started, by rank."""
    found = {}
    for task in Path(f"/proc/{launcher}/task").glob("*/children"):
        for pid in map(int, task.read_text().split()):
            try:
                environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            ranks = [entry[5:] for entry in environment if entry.startswith(b"RANK=")]
            if ranks:
                found[int(ranks[0])] = pid
    return found


def starts(output: Path) -> list[int]:
    """Return the step at which each start of a run began, from the output of ``torchrun``."""
    found = re.findall(r"^(?:(new run) in|resuming after step (\d+))", output.read_text(errors="replace"), re.MULTILINE)
    return [int(step or 0) for _, step in found]


def wait_for_step(run: Path, output: Path, launcher: subprocess.Popen[bytes], restarts: int, steps: int = 1) -> int | None:
    """Wait until a run has made some steps after its last restart, and return the step; None if the launcher ends before.

    Raises:
        TimeoutError: If no step is logged within the limit.
    """
    end = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < end:
        if launcher.poll() is not None:
            return None
        began, rows = starts(output), read_rows(run / "metrics.jsonl")
        if len(began) > restarts and rows and rows[-1]["step"] >= began[-1] + steps:
            return int(rows[-1]["step"])
        time.sleep(0.02)
    raise TimeoutError(f"{run}: no step within {LIMIT_SECONDS:.0f} s")


def killed_run(data: Path, folder: Path, kills: int, numbers: random.Random) -> KilledRun:
    """Train with two processes, of which one is killed that many times, and return what happened."""
    folder.mkdir()
    outcome, run, output = KilledRun(), folder / "run", folder / "output.txt"
    launcher = start([*torchrun("--standalone", "--nproc-per-node=2", f"--max-restarts={kills}"), *train_words(data, run)], output)
    try:
        for number in range(kills):
            step = wait_for_step(run, output, launcher, number, numbers.randint(1, STEPS // KILLS_PER_RUN - 4))
            if step is None:
                break
            time.sleep(numbers.uniform(0.0, 0.3))
            processes = workers(launcher.pid)
            if not processes:
                break
            rank = numbers.choice(sorted(processes))
            os.kill(processes[rank], signal.SIGKILL)
            outcome.kills.append({"rank": rank, "step": step})
        code = launcher.wait(timeout=LIMIT_SECONDS)
    finally:
        if launcher.poll() is None:
            launcher.kill()
            launcher.wait()
    if code:
        outcome.problems.append(f"ended with {code}: {output.read_text(errors='replace')[-2000:]}")
        return outcome
    outcome.repeated_steps = sum(max(0, kill["step"] - step) for kill, step in zip(outcome.kills, starts(output)[1:], strict=True))
    outcome.images_seen = int(results(run)["images_seen"])
    return outcome


def train_words(data: Path, run: Path) -> list[str]:
    """Return the words of the training."""
    return ["train", "quickstart", f"data.train.path={data}", f"data.val.path={data}", *OVERRIDES, f"output={run}", "--device", "cpu"]


def results(run: Path) -> dict[str, Any]:
    """Return the results of a run."""
    found: dict[str, Any] = json.loads((run / "results.json").read_text())
    return found


def weights(run: Path) -> dict[str, bytes]:
    """Return the last weights of a run as bytes by name."""
    return {name: tensor.numpy().tobytes() for name, tensor in load_checkpoint(run / "last.safetensors").tensors.items()}


def test(kills: int, seed: int, work: Path) -> tuple[int, list[KilledRun]]:
    """Return the images that an undisturbed training sees, and the killed trainings, with that many kills together."""
    make_sample(work / "data", images=7, val_images=3, short_side=96)
    plain = killed_run(work / "data", work / "undisturbed", 0, random.Random(seed))
    if plain.problems:
        raise RuntimeError(plain.problems[0])
    expected, numbers, runs = weights(work / "undisturbed" / "run"), random.Random(seed), list[KilledRun]()
    while (left := kills - sum(len(run.kills) for run in runs)) > 0 and not any(run.problems for run in runs):
        folder = work / f"killed-{len(runs)}"
        run = killed_run(work / "data", folder, min(left, KILLS_PER_RUN), numbers)
        if not run.problems and run.images_seen != plain.images_seen:
            run.problems.append(f"saw {run.images_seen} images instead of {plain.images_seen}")
        if not run.problems and weights(folder / "run") != expected:
            run.problems.append("ended with other weights than the undisturbed training")
        runs.append(run)
        print(f"{sum(len(one.kills) for one in runs)} of {kills} kills; problems: {sum(len(one.problems) for one in runs)}", flush=True)
    return plain.images_seen, runs


def main(argv: Sequence[str] | None = None) -> int:
    """Kill, print a line for each training, and return 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="processes to kill (default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the times and ranks (default: 0)")
    parser.add_argument("--json", type=Path, default=RESULTS, help=f"file for the results (default: {RESULTS.relative_to(ROOT)})")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="detkit-elastic-") as work:
        images, runs = test(options.kills, options.seed, Path(work))
    row = {"command": f"python tools/elastic_kill_test.py --kills {options.kills} --seed {options.seed}", "processes": 2}
    row |= {"steps": STEPS, "images_per_step": BATCH, "images_seen_undisturbed": images, "kills": sum(len(run.kills) for run in runs)}
    row |= {"repeated_steps": sum(run.repeated_steps for run in runs), "problems": sum(len(run.problems) for run in runs)}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({**row, "runs": [asdict(run) for run in runs]}, indent=1) + "\n")
    for problem in (problem for run in runs for problem in run.problems):
        print(problem)
    return int(any(run.problems for run in runs))


if __name__ == "__main__":
    raise SystemExit(main())
