"""``detkit serve`` under load on this machine, and a plain loop that decodes and detects the same JPEGs."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from benchmarks.timing import Report

ROOT = Path(__file__).resolve().parents[2]
LOAD = Path(__file__).with_name("serve_load.py")
PHOTOS = ("astronaut", "chelsea", "coffee")
"""Photographs of scikit-image that come with it."""
ALLOWED = {200, 503}


@dataclass(frozen=True)
class Load:
    """Answers of a server under load.

    Attributes:
        answers: Time since the begin, latency in seconds, and status of each.
        seconds: Time until the last answer.
        processor_seconds: Processor time of the clients.
    """

    answers: list[tuple[float, float, int]]
    seconds: float
    processor_seconds: float

    @property
    def statuses(self) -> dict[int, int]:
        """Number of answers of each status."""
        return dict(sorted(Counter(status for _, _, status in self.answers).items()))

    @property
    def throughput(self) -> float:
        """Images detected in a second."""
        return self.statuses.get(200, 0) / self.seconds

    @property
    def own_throughput(self) -> float:
        """The same, without the share of time in which the clients took the processors."""
        return self.statuses.get(200, 0) / (self.seconds - self.processor_seconds / (os.cpu_count() or 1))

    def latency(self, fraction: float) -> float:
        """Return the latency that a fraction of the answers with status 200 does not exceed."""
        latencies = sorted(latency for _, latency, status in self.answers if status == 200)
        return latencies[min(int(fraction * len(latencies)), len(latencies) - 1)] if latencies else float("nan")

    def line(self, clients: int) -> str:
        """Return a description on one line."""
        statuses = ", ".join(f"{count:,} x {status}" for status, count in self.statuses.items())
        share = self.processor_seconds / self.seconds
        times = f"p50 {1000 * self.latency(0.5):.0f} ms, p95 {1000 * self.latency(0.95):.0f} ms"
        own = f"{self.own_throughput:.2f} without the clients' processor time ({share:.2f} of a core)"
        return f"{clients} clients, {self.seconds:.0f} s: {statuses}; {times}; {self.throughput:.2f} images/s, {own}"


def serve(model: str, clients: int, seconds: float, threads: int | None, max_batch: int | None) -> Report:
    """Measure the plain loop, the server under load, its full queue, and the plain loop once more."""
    with tempfile.TemporaryDirectory() as folder:
        photos = _photos(Path(folder))
        plain = [_plain_loop(model, photos, seconds / 3, threads)]
        with _server(model, threads, max_batch) as (port, process):
            _load(port, clients, min(seconds / 3, 5), photos)  # a server that has reached its working memory
            begin = _resident(port)
            under = _load(port, clients, seconds, photos)
            full = _load(port, 200, seconds / 3, photos)
            end = _resident(port)
            process.terminate()
            code = process.wait(60)
        plain.append(_plain_loop(model, photos, seconds / 3, threads))
    baseline = statistics.mean(plain)
    ratios = under.throughput / baseline, under.own_throughput / baseline
    wrong = sorted({*under.statuses, *full.statuses} - ALLOWED)
    notes = [
        under.line(clients),
        full.line(200),
        f"plain loop: {baseline:.2f} images/s (before {plain[0]:.2f}, after {plain[1]:.2f})",
        f"server / plain loop: {ratios[0]:.2f}, {ratios[1]:.2f} without the clients' processor time",
        f"statuses other than 200 and 503: {'none' if not wrong else f'MISSED: {wrong}'}; exit code after SIGTERM: {code}",
        f"resident memory of the server: {begin / 1e6:.0f} MB at the begin, {end / 1e6:.0f} MB at the end",
        f"load average of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
    ]
    rows = {"plain loop": [1 / value for value in plain], "server": [1 / under.throughput], "server alone": [1 / under.own_throughput]}
    numbers: dict[str, Any] = {
        "statuses": {"load": under.statuses, "full queue": full.statuses},
        "latency": {"p50": under.latency(0.5), "p95": under.latency(0.95)},
        "throughput": {"server": under.throughput, "server alone": under.own_throughput, "plain loop": plain},
        "clients_processor_seconds": under.processor_seconds,
        "memory": {"begin": begin, "end": end},
    }
    return Report(f"detkit serve {model}, JPEGs of scikit-image; seconds for each image", rows, {}, notes, numbers)


def _photos(folder: Path) -> list[Path]:
    import skimage.data
    from PIL import Image

    paths = []
    for name in PHOTOS:
        paths.append(folder / f"{name}.jpg")
        Image.fromarray(getattr(skimage.data, name)()).save(paths[-1], quality=90)
    return paths


_PLAIN = """
import sys, time
from pathlib import Path
from detkit.data.media.images import decode_image
from detkit.serve.models import load_model, set_threads
from detkit.serve.parameters import Parameters
model, seconds, threads, *paths = sys.argv[1:]
if threads != "0":
    set_threads(int(threads))
loaded = load_model("plain", model)
files = [Path(path).read_bytes() for path in paths]
def detect(data):
    return loaded.select(loaded.predictor(decode_image(data)).numpy(), Parameters())
for data in files * 2:
    detect(data)
count, start = 0, time.perf_counter()
while time.perf_counter() - start < float(seconds):
    detect(files[count % len(files)])
    count += 1
print(count / (time.perf_counter() - start))
"""


def _plain_loop(model: str, photos: list[Path], seconds: float, threads: int | None) -> float:
    """Return the images that a loop decodes and detects in a second, in a process of its own."""
    command = [sys.executable, "-c", _PLAIN, model, str(seconds), str(threads or 0), *map(str, photos)]
    return float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


@contextmanager
def _server(model: str, threads: int | None, max_batch: int | None) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Yield the port of a ready server, and its process."""
    command = [sys.executable, "-m", "detkit", "serve", model, "--port", "0", "--timeout", "120"]
    command += [] if threads is None else ["--threads", str(threads)]
    command += [] if max_batch is None else ["--max-batch", str(max_batch)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        match = next(filter(None, (re.search(r"at http://[^ ]*:(\d+)", line) for line in process.stdout)), None)
        if match is None:
            raise RuntimeError("the server did not start; its message is above")
        port = int(match[1])
        while '"ok"' not in _get(port, "ready"):
            time.sleep(0.1)
        yield port, process
    finally:
        process.kill()
        process.wait()


def _get(port: int, path: str) -> str:
    try:
        with urlopen(f"http://127.0.0.1:{port}/{path}") as answer:
            text: str = answer.read().decode()
            return text
    except OSError as error:
        return str(error)


def _resident(port: int) -> float:
    match = re.search(r"^process_resident_memory_bytes (\S+)$", _get(port, "metrics"), re.MULTILINE)
    return float(match[1]) if match else float("nan")


def _load(port: int, clients: int, seconds: float, photos: list[Path]) -> Load:
    command = [sys.executable, str(LOAD), str(port), str(clients), str(seconds), *map(str, photos)]
    content = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return Load([(when, latency, status) for when, latency, status in content["answers"]], content["seconds"], content["processor_seconds"])
