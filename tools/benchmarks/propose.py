"""Selective search compared with OpenCV's and with the package ``selectivesearch``: recall and speed."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.timing import Report
from detkit.cli.report import table

if TYPE_CHECKING:
    from detkit.data.records import Records
    from detkit.proposals.search_config import Mode
    from detkit.structures import Proposals

HERE = Path(__file__).resolve().parent
OPENCV, PACKAGE, OURS = SIDES = ("OpenCV", "selectivesearch", "detkit")
TARGETS = {("fast", OPENCV): 5.0, ("quality", OPENCV): 5.0, ("single", PACKAGE): 10.0}
"""Target speed-up over the others, where there is one."""
COLUMNS = ("side", "proposals", "recall .5", "recall .7", "MABO", "best IoU", "AR", "cut to", "cut .5", "cut MABO", "cut IoU")
Seconds = dict[str, list[float]]
CHUNK = 5
"""Number of images that one side processes before the next side's turn."""


@dataclass(frozen=True)
class Images:
    """The labeled images of the benchmark: the first ``limit`` of a data set."""

    data: Path
    images: Path | None = None
    split: str | None = None
    limit: int = 50

    @property
    def name(self) -> str:
        """Name of the data set."""
        return self.data.name if self.images is None else self.images.parent.name

    def records(self) -> Records:
        """Read their files and objects."""
        from detkit.data import SourceConfig, read_source

        images = None if self.images is None else str(self.images)
        records = read_source(SourceConfig(path=str(self.data), images=images, split=self.split)).records
        return records[: min(self.limit, len(records))]


def propose(mode: Mode, images: Images, opencv_python: Path | None, *, package: bool = True, timed: bool = True) -> Report:
    """Run every side on the same images, a few at a time, in turn; without ``timed`` only the recall is reported."""
    from detkit.data import read_image

    records = images.records()
    paths = [str(path) for path in records.paths]
    sides = {OURS: _OwnSearch(mode), PACKAGE: _PackageSearch()} if mode == "single" and package else {OURS: _OwnSearch(mode)}
    proposals: dict[str, list[Proposals]] = {name: [] for name in sides}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    cpu: dict[str, list[float]] = {name: [] for name in sides}
    opencv = None if opencv_python is None else _OpenCVSearch(opencv_python, mode)
    if opencv is not None:
        proposals[OPENCV], seconds[OPENCV], cpu[OPENCV] = [], [], []
    for start in range(0, len(paths), CHUNK):
        chunk = paths[start : start + CHUNK]
        read = [read_image(path) for path in chunk]
        for name, side in sides.items():
            for image in read:
                start_time, start_cpu = time.perf_counter(), time.process_time()
                rows = side(image)
                seconds[name].append(time.perf_counter() - start_time)
                cpu[name].append(time.process_time() - start_cpu)
                proposals[name].append(rows)
        if opencv is not None:
            results, times, cpu_times = opencv(chunk)
            proposals[OPENCV] += results
            seconds[OPENCV] += times
            cpu[OPENCV] += cpu_times
    report = _speeds(mode, seconds, cpu) if timed else Report("")
    report.title = f"Selective search, mode {mode}, on {len(records)} images of {images.name}"
    counts = [len(rows) for rows in proposals[OPENCV]] if OPENCV in proposals else None
    quality = [_quality(name, records, proposals[name], counts) for name in SIDES if name in proposals]
    report.notes.append(table([_cells(row) for row in quality], COLUMNS, set(COLUMNS[1:])))
    report.numbers |= {"mode": mode, "data": images.name, "images": len(records), "quality": quality}
    return report


def _speeds(mode: Mode, seconds: Seconds, cpu: Seconds) -> Report:
    ordered = {name: seconds[name] for name in SIDES if name in seconds}
    # Our first image is cold: compiled code is loaded, or compiled.
    cold = ordered[OURS][0]
    warm = {name: times[1:] for name, times in ordered.items()}
    ours, ours_cpu = statistics.median(warm[OURS]), statistics.median(cpu[OURS][1:])
    notes: list[str] = []
    numbers: dict[str, float] = {}
    for name in (OPENCV, PACKAGE):
        if name in warm:
            ratio, target = statistics.median(warm[name]) / ours, TARGETS.get((mode, name))
            verdict = "" if target is None else f" (target {target:g}x: {'reached' if ratio >= target else 'MISSED'})"
            cpu_ratio = statistics.median(cpu[name][1:]) / ours_cpu
            notes.append(f"{ratio:.1f}x as fast as {name}{verdict}, with {cpu_ratio:.1f}x less processor time")
            numbers |= {f"times_as_fast_as_{name}": ratio, f"times_less_processor_time_than_{name}": cpu_ratio}
    notes.append(f"detkit's first image took {cold:.2f} s, which includes loading compiled code")
    return Report("", warm, {}, notes, {"cold_seconds": cold, "processor_seconds": cpu, **numbers})


def _quality(name: str, records: Records, proposals: Sequence[Proposals], counts: Sequence[int] | None) -> dict[str, Any]:
    """Compute the recall of one side, in full and truncated to ``counts`` proposals per image."""
    from detkit.proposals import ProposalRecall

    full, cut = ProposalRecall(), ProposalRecall()
    for index, (record, rows) in enumerate(zip(records, proposals, strict=True)):
        full.add(record.targets, rows)
        if counts is not None:
            cut.add(record.targets, rows[: counts[index]])
    numbers: dict[str, Any] = {"side": name, **full.numbers().to_dict(), "best_overlap": float(full.best().mean())}
    if counts is not None:
        numbers |= {f"cut_{key}": value for key, value in cut.numbers().to_dict().items()}
        numbers["cut_best_overlap"] = float(cut.best().mean())
    return numbers


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    shares = ("recall_50", "recall_70", "mabo", "best_overlap", "average_recall")
    cells = [row["side"], f"{row['proposals']:,.0f}", *(f"{row[name]:.3f}" for name in shares)]
    if "cut_proposals" not in row:
        return (*cells, "-", "-", "-", "-")
    return (*cells, f"{row['cut_proposals']:,.0f}", *(f"{row[f'cut_{name}']:.3f}" for name in ("recall_50", "mabo", "best_overlap")))


class _OwnSearch:
    def __init__(self, mode: Mode) -> None:
        self.mode = mode

    def __call__(self, image: np.ndarray[Any, Any]) -> Proposals:
        from detkit.proposals import selective_search

        return selective_search(image, self.mode)


class _PackageSearch:
    def __call__(self, image: np.ndarray[Any, Any]) -> Proposals:
        from detkit.proposals import ProposalsConfig
        from detkit.proposals.backends import SelectiveSearchPackage

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return SelectiveSearchPackage()(image, ProposalsConfig(mode="single"))


class _OpenCVSearch:
    """OpenCV in a process of another Python, which times each search itself."""

    def __init__(self, python: Path, mode: Mode) -> None:
        program = shutil.which(str(python))
        if program is None:
            raise FileNotFoundError(f"--opencv-python {python}: no such program; pass a Python that has opencv-contrib-python")
        self.python, self.mode = program, mode

    def __call__(self, paths: Sequence[str]) -> tuple[list[Proposals], list[float], list[float]]:
        from detkit.structures import Proposals

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "proposals.npz"
            command = [self.python, str(HERE / "propose_opencv.py"), self.mode, str(torch.get_num_threads()), str(file)]
            done = subprocess.run(command, input="\n".join(paths), text=True, stdout=sys.stderr, check=False)
            if done.returncode:
                raise RuntimeError(f"--opencv-python {self.python}: the search failed; install opencv-contrib-python for it")
            with np.load(file) as arrays:
                boxes = [arrays[f"boxes{number}"] for number in range(len(paths))]
                seconds, cpu = arrays["seconds"].tolist(), arrays["processor_seconds"].tolist()
        for rows in boxes:
            rows[:, 2:] += rows[:, :2]
        return [Proposals(torch.from_numpy(rows), torch.linspace(1, 0, len(rows))) for rows in boxes], seconds, cpu
