"""Measure bulk detection: Ray against plain shards, and what a million images cost.

    python tools/bulk_detection.py ray        two actors and two `--shard` processes in turn, written to docs/results/scaling/ray.json
    python tools/bulk_detection.py costs      images an hour, bytes a row, listing and merging, written to docs/results/scaling/costs.json
    python tools/bulk_detection.py table      what more images cost, calculated from these figures
    python tools/bulk_detection.py ray --images 60 --rounds 1 --output other.json

On a busy machine seconds mean little, so that figures are given in processor time. Start-up is left out: it is what the same command takes
on two images. Ray's other processes need a part of a processor for as long as it runs, however few images come; it is measured too, and
`on_idle_processors` is the throughput that remains on processors with nothing else to do: calculated, with both costs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_worker_niceness", "0")  # plain processes have 0, and Ray's 15 by default

import numpy as np
from benchmarks import bulk_rows, bulk_table
from PIL import Image

from detkit.about import __version__
from detkit.checkpoint.atomic import write_json
from detkit.cli.inputs import sample_photograph
from detkit.data.media.images import read_image
from detkit.machine import processor

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results" / "scaling"
SIZE = (480, 640)
"""``(height, width)`` of the measured images."""
PROCESSES = 2


ACTOR = b"BatchDetector"
"""Part of the title of the processes that detect in Ray."""


@dataclass(frozen=True)
class Cost:
    """What a command took.

    Attributes:
        images: Number of images.
        seconds: Time on the clock.
        detecting: Processor time of the processes that detect.
        others: That of Ray's other processes.
    """

    images: int
    seconds: float
    detecting: float
    others: float = 0.0

    def __sub__(self, other: Cost) -> Cost:
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Cost(*(first - second for first, second in pairs))


class ProcessorTime:
    """Sums the processor time of what this process starts, from samples; those of ended processes are kept.

    Args:
        every: Seconds between two samples.
    """

    def __init__(self, every: float = 0.3) -> None:
        self._every = every
        self._ticks: dict[tuple[int, str], int] = {}
        self._actors: set[int] = set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end.set()
        self._thread.join()

    def seconds(self, of_ray: bool) -> tuple[float, float]:
        """Return the processor time of the processes that detect, and of the others; without Ray all detect."""
        actors = sum(ticks for (pid, _), ticks in self._ticks.items() if pid in self._actors or not of_ray)
        return actors / _TICKS, (sum(self._ticks.values()) - actors) / _TICKS

    def _sample(self) -> None:
        while not self._end.wait(self._every):
            self._add()

    def _add(self) -> None:
        rows = dict(process_rows())
        for pid, (parent, start, ticks) in rows.items():
            ancestor: int | None = parent
            while ancestor is not None and ancestor != os.getpid():
                ancestor = rows[ancestor][0] if ancestor in rows else None
            if ancestor == os.getpid():
                self._ticks[pid, start] = max(ticks, self._ticks.get((pid, start), 0))
                with contextlib.suppress(OSError):
                    self._actors |= {pid} if ACTOR in Path(f"/proc/{pid}/cmdline").read_bytes() else set()


_TICKS = os.sysconf("SC_CLK_TCK")


def process_rows() -> Iterator[tuple[int, tuple[int, str, int]]]:
    """Yield each process with its parent, its start and its processor time in ticks."""
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            try:
                fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            yield int(entry.name), (int(fields[1]), fields[19], int(fields[11]) + int(fields[12]))


def write_images(folder: Path, count: int) -> list[str]:
    """Write parts of a photograph as JPEG files of one size; return their paths."""
    photograph = Image.open(sample_photograph()).convert("RGB")
    generator = np.random.default_rng(0)
    for index in range(count):
        x, y = (int(generator.integers(0, side // 3)) for side in photograph.size)
        part = photograph.crop((x, y, x + 2 * photograph.width // 3, y + 2 * photograph.height // 3))
        part.resize(SIZE[::-1]).save(folder / f"{index:06d}.jpg", quality=90)
    return sorted(map(str, folder.glob("*.jpg")))


def run(commands: list[list[str]], images: int, of_ray: bool = False) -> Cost:
    """Run commands at once, start-up included."""
    start = time.perf_counter()
    with ProcessorTime() as used:
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        processes = [subprocess.Popen([sys.executable, *words], **quiet) for words in commands]
        errors = [process.communicate()[1] for process in processes]
    if any(process.returncode for process in processes):
        raise RuntimeError("".join(errors))
    return Cost(images, time.perf_counter() - start, *used.seconds(of_ray))


def plain(listing: Path, output: Path, count: int = PROCESSES) -> Cost:
    """Run shards of the images in a list as plain processes at once."""
    words = ["-m", "detkit", "detect", str(listing), "--threads", "1", "--output", str(output)]
    return run([[*words, "--shard", f"{index}/{count}"] for index in range(count)], len(listing.read_text().split()))


def with_ray(listing: Path) -> Cost:
    """Run two actors on two processors, in a process of its own, which ends with Ray."""
    return run([[str(Path(__file__).resolve()), "ray-worker", str(listing)]], len(listing.read_text().split()), of_ray=True)


def ray_worker(listing: Path) -> None:
    """Detect with Ray."""
    from detkit.bulk import ray_detect  # before Ray, whose statistics it switches off

    import ray  # isort: skip

    ray.init(num_cpus=PROCESSES, include_dashboard=False, log_to_driver=False, object_store_memory=500_000_000, logging_level="ERROR")
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        paths = listing.read_text().split()
        dataset = ray.data.from_items([{"path": path} for path in paths], override_num_blocks=max(PROCESSES, len(paths) // 16))
        rows = ray_detect(dataset, actors=PROCESSES).to_pandas()
        if len(rows) != len(paths) or rows["error"].notna().any():
            raise RuntimeError(f"{len(rows)} rows of {len(paths)}, errors: {rows['error'].dropna()[:3]}")
    finally:
        ray.shutdown()


def compare_ray(images: int, rounds: int) -> dict[str, Any]:
    """Measure both ways in turn."""
    pairs = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        paths = write_images(folder / "in", images)
        few, whole = _list(folder / "few.txt", paths[:PROCESSES]), _list(folder / "all.txt", paths)
        start = plain(few, folder / "few"), with_ray(few)
        for index in range(rounds):
            pairs.append((plain(whole, folder / str(index)) - start[0], with_ray(whole) - start[1]))
            print(f"round {index}: plain {pairs[-1][0]}, Ray {pairs[-1][1]}", file=sys.stderr, flush=True)
    others = statistics.median(ray.others / ray.seconds for _, ray in pairs)
    detecting = statistics.median(first.detecting / first.images / (ray.detecting / ray.images) for first, ray in pairs)
    return {
        "images": images,
        "size": SIZE,
        "processes": PROCESSES,
        "start": {"plain": asdict(start[0]), "ray": asdict(start[1])},
        "rounds": [{"plain": asdict(first), "ray": asdict(second)} for first, second in pairs],
        "throughput_of_ray_to_plain": {
            "clock": statistics.median(first.seconds / first.images / (ray.seconds / ray.images) for first, ray in pairs),
            "processor_time_of_detection": detecting,
            "processors_of_others": others,
            "on_idle_processors": detecting * (PROCESSES - others) / PROCESSES,
        },
    }


def measure_costs(images: int, rows: int) -> dict[str, Any]:
    """Measure what one core does, and what many rows cost."""
    with tempfile.TemporaryDirectory() as name:
        detection = measure_detection(Path(name), images)
        words = [sys.executable, str(Path(__file__).resolve()), "rows-worker", str(rows), name]  # whose memory is its own
        answer = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    return {"detection": detection, "rows": json.loads(answer)}


def measure_detection(folder: Path, images: int) -> dict[str, Any]:
    """Measure one process with one thread, without its start-up, and how much of its time reading and decoding take."""
    (folder / "in").mkdir()
    paths = write_images(folder / "in", images)
    start = plain(_list(folder / "one.txt", paths[:1]), folder / "few", 1)
    whole = plain(_list(folder / "all.txt", paths), folder / "all", 1)
    of_image = (whole.detecting - start.detecting) / (images - 1)
    stored = sum(Path(path).stat().st_size for path in paths) / images
    before = time.process_time()
    for path in paths:
        read_image(path)
    return {
        "images": images,
        "size": SIZE,
        "bytes_of_image": round(stored),
        "start_processor_seconds": start.detecting,
        "processor_seconds_of_image": of_image,
        "decoding_processor_seconds_of_image": (time.process_time() - before) / images,
        "images_an_hour_and_core": 3600 / of_image,
        "bytes_a_second_and_core": stored / of_image,
    }


def _list(file: Path, paths: list[str]) -> Path:
    file.write_text("\n".join(paths))
    return file


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what", choices=("ray", "costs", "table", "ray-worker", "rows-worker"), help="what to measure; workers are started by the others"
    )
    parser.add_argument("words", nargs="*", help="for workers")
    parser.add_argument("--images", type=int, default=1000, help="number of images (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of both ways in turn (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of results that are written and merged (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="result file (default: in docs/results/scaling)")
    args = parser.parse_args()
    if args.what == "ray-worker":
        return ray_worker(Path(args.words[0]))
    if args.what == "rows-worker":
        return print(json.dumps(bulk_rows.measure_rows(int(args.words[0]), Path(args.words[1]))))
    if args.what == "table":
        costs = json.loads((args.output or RESULTS / "costs.json").read_text())
        return print(f"{bulk_table.measured(costs)}\n\n{bulk_table.table(costs)}")
    result = compare_ray(args.images, args.rounds) if args.what == "ray" else measure_costs(args.images, args.rows)
    command = f"python tools/bulk_detection.py {args.what} --images {args.images}"
    machine = {"processor": processor(), "processors": os.cpu_count(), "load": os.getloadavg()[0]}
    content = {"command": command, "detkit": __version__, "machine": machine, **result}
    write_json(args.output or RESULTS / f"{args.what}.json", content)
    print(json.dumps(result, indent=1))
    return None


if __name__ == "__main__":
    main()
