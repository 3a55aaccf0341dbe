"""Measure bulk detection: Ray against plain shards, and what a million images cost.

    python tools/bulk_detection.py ray        two actors and two `--shard` processes in turn, written to docs/results/scaling/ray.json
    python tools/bulk_detection.py costs      images an hour, bytes a row, listing and merging, written to docs/results/scaling/costs.json
    python tools/bulk_detection.py ray --images 60 --rounds 1 --output other.json

On a busy machine seconds mean little, so that every figure is also given in processor time: the sum over all processes involved.
Start-up is left out on both sides: of Ray what is before its first results, of plain processes what the same command takes on two images.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_worker_niceness", "0")  # plain processes have 0, and Ray's 15 by default

import numpy as np
from PIL import Image

from detkit.about import __version__
from detkit.checkpoint.atomic import write_json
from detkit.cli.inputs import sample_photograph

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results" / "scaling"
SIZE = (480, 640)
"""``(height, width)`` of the measured images."""
PROCESSES = 2


@dataclass(frozen=True)
class Speed:
    """What images took after the start.

    Attributes:
        images: Number of images.
        seconds: Time on the clock.
        processor_seconds: Processor time of all processes.
    """

    images: int
    seconds: float
    processor_seconds: float


class ProcessorTime:
    """Sums the processor time of a process and all that it started, ended ones included, from samples."""

    def __init__(self, root: int, every: float = 0.1) -> None:
        self._root, self._every = root, every
        self._ticks: dict[tuple[int, str], int] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end.set()
        self._thread.join()

    @property
    def seconds(self) -> float:
        """The sum so far."""
        self._add()
        return sum(self._ticks.values()) / os.sysconf("SC_CLK_TCK")

    def _sample(self) -> None:
        while not self._end.wait(self._every):
            self._add()

    def _add(self) -> None:
        rows = dict(process_rows())
        for pid, (_, start, ticks) in rows.items():
            ancestor: int | None = pid
            while ancestor is not None and ancestor != self._root:
                ancestor = rows[ancestor][0] if ancestor in rows else None
            if ancestor == self._root:
                self._ticks[pid, start] = max(ticks, self._ticks.get((pid, start), 0))


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


def run_shards(listing: Path, output: Path, count: int = PROCESSES) -> Speed:
    """Run shards of the images in a list as plain processes at once; start-up included."""
    words = [sys.executable, "-m", "detkit", "detect", str(listing), "--threads", "1", "--output", str(output)]
    start = time.perf_counter()
    with ProcessorTime(os.getpid()) as used:
        before = used.seconds
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        processes = [subprocess.Popen([*words, "--shard", f"{index}/{count}"], **quiet) for index in range(count)]
        errors = [process.communicate()[1] for process in processes]
        if any(process.returncode for process in processes):
            raise RuntimeError("".join(errors))
        return Speed(len(listing.read_text().split()), time.perf_counter() - start, used.seconds - before)


def plain_speed(listing: Path, folder: Path) -> Speed:
    """Return the speed of two shards without their start-up."""
    few = folder / "few.txt"
    few.write_text("\n".join(listing.read_text().split()[:PROCESSES]))
    with tempfile.TemporaryDirectory(dir=folder) as output:
        start = run_shards(few, Path(output, "few"))
        whole = run_shards(listing, Path(output, "all"))
    images = whole.images - start.images
    return Speed(images, whole.seconds - start.seconds, whole.processor_seconds - start.processor_seconds)


def ray_speed(listing: Path) -> Speed:
    """Return the speed of two actors on two processors from their first results on; in a process of its own, which ends with Ray."""
    words = [sys.executable, str(Path(__file__).resolve()), "ray-worker", str(listing)]
    answer = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    return Speed(**json.loads(answer))


def ray_worker(listing: Path) -> None:
    """Detect with Ray, and print the speed."""
    from detkit.bulk import ray_detect  # before Ray, whose statistics it switches off

    import ray  # isort: skip

    ray.init(num_cpus=PROCESSES, include_dashboard=False, log_to_driver=False, object_store_memory=500_000_000, logging_level="ERROR")
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        dataset = ray.data.from_items([{"path": path} for path in listing.read_text().split()])
        done, first = 0, (0, 0.0, 0.0)
        with ProcessorTime(os.getpid()) as used:
            for batch in ray_detect(dataset, actors=PROCESSES).iter_batches(batch_size=None, batch_format="pyarrow"):
                done += batch.num_rows
                if not first[0]:
                    first = done, time.perf_counter(), used.seconds
            speed = Speed(done - first[0], time.perf_counter() - first[1], used.seconds - first[2])
    finally:
        ray.shutdown()
    print(json.dumps(asdict(speed)))


def compare_ray(images: int, rounds: int) -> dict[str, Any]:
    """Measure both ways in turn."""
    pairs = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        listing = folder / "images.txt"
        listing.write_text("\n".join(write_images(folder / "in", images)))
        for index in range(rounds):
            pairs.append((plain_speed(listing, folder), ray_speed(listing)))
            print(f"round {index}: plain {pairs[-1][0]}, Ray {pairs[-1][1]}", flush=True)
    of_clock = [ray.images / ray.seconds / (plain.images / plain.seconds) for plain, ray in pairs]
    of_processor = [ray.images / ray.processor_seconds / (plain.images / plain.processor_seconds) for plain, ray in pairs]
    return {
        "images": images,
        "size": SIZE,
        "processes": PROCESSES,
        "rounds": [{"plain": asdict(plain), "ray": asdict(ray)} for plain, ray in pairs],
        "throughput_of_ray_to_plain": {"clock": statistics.median(of_clock), "processor_time": statistics.median(of_processor)},
    }


def measure_costs(images: int, rows: int) -> dict[str, Any]:
    """Measure what one core does, and what a million rows cost."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        paths = write_images(folder / "in", images)
        listing = folder / "images.txt"
        listing.write_text("\n".join(paths))
        start = run_shards(_list(folder, paths[:1]), folder / "few", 1)
        whole = run_shards(listing, folder / "all", 1)
        of_image = (whole.processor_seconds - start.processor_seconds) / (images - 1)
        stored = sum(path.stat().st_size for path in (folder / "in").iterdir()) / images
        detection = {"images": images, "size": SIZE, "bytes_of_image": round(stored), "start_processor_seconds": start.processor_seconds}
        detection |= {"processor_seconds_of_image": of_image, "images_an_hour_and_core": 3600 / of_image}
        measured = subprocess.run(  # memory is that of a process of its own
            [sys.executable, str(Path(__file__).resolve()), "rows-worker", str(rows), str(folder)],
            check=True,
            capture_output=True,
            text=True,
        )
    return {"detection": detection, "rows": json.loads(measured.stdout.splitlines()[-1])}


def _list(folder: Path, paths: list[str]) -> Path:
    few = folder / "one.txt"
    few.write_text("\n".join(paths))
    return few


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what", choices=("ray", "costs", "ray-worker", "rows-worker"), help="what to measure; workers are started by the others"
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
        from benchmarks.bulk_rows import measure_rows

        return print(json.dumps(measure_rows(int(args.words[0]), Path(args.words[1]))))
    result = compare_ray(args.images, args.rounds) if args.what == "ray" else measure_costs(args.images, args.rows)
    machine = {"processors": os.cpu_count(), "load": os.getloadavg()[0]}
    write_json(args.output or RESULTS / f"{args.what}.json", {"detkit": __version__, "machine": machine, **result})
    print(json.dumps(result, indent=1))
    return None


if __name__ == "__main__":
    main()
