"""Selective search against OpenCV's and against the package ``selectivesearch``: how well objects are met, and how fast."""

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
    from detkit.proposals.config import Mode
    from detkit.structures import Proposals

HERE = Path(__file__).resolve().parent
OPENCV, PACKAGE, OURS = SIDES = ("OpenCV", "selectivesearch", "detkit")
TARGETS = {("fast", OPENCV): 5.0, ("quality", OPENCV): 5.0, ("single", PACKAGE): 10.0}
"""How many times as fast as the others ours should be, where that is an aim."""
COLUMNS = ("side", "proposals", "recall .5", "recall .7", "MABO", "best IoU", "AR", "cut to", "cut .5", "cut MABO", "cut IoU")
Seconds = dict[str, list[float]]
CHUNK = 5
"""Images that one side searches before the next side has its turn."""


@dataclass(frozen=True)
class Images:
    """The labeled images that are searched: the first so many of a data set's."""

    data: Path
    images: Path | None = None
    split: str | None = None
    limit: int = 50

    @property
    def name(self) -> str:
        """What the data set is called."""
        return self.data.name if self.images is None else self.images.parent.name

    def records(self) -> Records:
        """Their files and objects."""
        from detkit.data import SourceConfig, read_source

        images = None if self.images is None else str(self.images)
        found = read_source(SourceConfig(path=str(self.data), images=images, split=self.split)).records
        return found[: min(self.limit, len(found))]


def propose(mode: Mode, images: Images, opencv_python: Path | None, *, package: bool = True, timed: bool = True) -> Report:
    """Every side searches the same images, a few at a time, in turn; if it is not timed only what they find is told."""
    from detkit.data import read_image

    records = images.records()
    paths = [str(path) for path in records.paths]
    sides = {OURS: _Ours(mode), PACKAGE: _Package()} if mode == "single" and package else {OURS: _Ours(mode)}
    found: dict[str, list[Proposals]] = {name: [] for name in sides}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    cpu: dict[str, list[float]] = {name: [] for name in sides}
    opencv = None if opencv_python is None else _OpenCV(opencv_python, mode)
    if opencv is not None:
        found[OPENCV], seconds[OPENCV], cpu[OPENCV] = [], [], []
    for start in range(0, len(paths), CHUNK):
        chunk = paths[start : start + CHUNK]
        read = [read_image(path) for path in chunk]
        for name, side in sides.items():
            for image in read:
                begun, begun_cpu = time.perf_counter(), time.process_time()
                rows = side(image)
                seconds[name].append(time.perf_counter() - begun)
                cpu[name].append(time.process_time() - begun_cpu)
                found[name].append(rows)
        if opencv is not None:
            boxes, taken, taken_cpu = opencv(chunk)
            found[OPENCV] += boxes
            seconds[OPENCV] += taken
            cpu[OPENCV] += taken_cpu
    report = _speeds(mode, seconds, cpu) if timed else Report("")
    report.title = f"Selective search, mode {mode}, on {len(records)} images of {images.name}"
    counts = [len(rows) for rows in found[OPENCV]] if OPENCV in found else None
    quality = [_quality(name, records, found[name], counts) for name in SIDES if name in found]
    report.notes.append(table([_cells(row) for row in quality], COLUMNS, set(COLUMNS[1:])))
    report.numbers |= {"mode": mode, "data": images.name, "images": len(records), "quality": quality}
    return report


def _speeds(mode: Mode, seconds: Seconds, cpu: Seconds) -> Report:
    ordered = {name: seconds[name] for name in SIDES if name in seconds}
    # The first image of ours is cold: compiled code is loaded, or made.
    cold = ordered[OURS][0]
    warm = {name: times[1:] for name, times in ordered.items()}
    ours, ours_cpu = statistics.median(warm[OURS]), statistics.median(cpu[OURS][1:])
    notes: list[str] = []
    numbers: dict[str, float] = {}
    for name in (OPENCV, PACKAGE):
        if name in warm:
            ratio, target = statistics.median(warm[name]) / ours, TARGETS.get((mode, name))
            verdict = "" if target is None else f" (wanted {target:g}x: {'reached' if ratio >= target else 'MISSED'})"
            less = statistics.median(cpu[name][1:]) / ours_cpu
            notes.append(f"{ratio:.1f}x as fast as {name}{verdict}, in {less:.1f}x less processor time")
            numbers |= {f"times_as_fast_as_{name}": ratio, f"times_less_processor_time_than_{name}": less}
    notes.append(f"the first image of detkit's took {cold:.2f} s, code that is compiled already being loaded in it")
    return Report("", warm, {}, notes, {"cold_seconds": cold, "processor_seconds": cpu, **numbers})


def _quality(name: str, records: Records, found: Sequence[Proposals], counts: Sequence[int] | None) -> dict[str, Any]:
    """How well one side meets the objects, in full and cut to so many proposals of each image."""
    from detkit.proposals import ProposalRecall

    whole, cut = ProposalRecall(), ProposalRecall()
    for place, (record, rows) in enumerate(zip(records, found, strict=True)):
        whole.add(record.targets, rows)
        if counts is not None:
            cut.add(record.targets, rows[: counts[place]])
    numbers: dict[str, Any] = {"side": name, **whole.numbers().to_dict(), "best_overlap": float(whole.best().mean())}
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


class _Ours:
    def __init__(self, mode: Mode) -> None:
        self.mode = mode

    def __call__(self, image: np.ndarray[Any, Any]) -> Proposals:
        from detkit.proposals import selective_search

        return selective_search(image, self.mode)


class _Package:
    def __call__(self, image: np.ndarray[Any, Any]) -> Proposals:
        from detkit.proposals import ProposalsConfig
        from detkit.proposals.backends import SelectiveSearchPackage

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return SelectiveSearchPackage()(image, ProposalsConfig(mode="single"))


class _OpenCV:
    """OpenCV in a process of another Python, which times each search itself."""

    def __init__(self, python: Path, mode: Mode) -> None:
        found = shutil.which(str(python))
        if found is None:
            raise FileNotFoundError(f"--opencv-python {python}: no such program; give a Python that has opencv-contrib-python")
        self.python, self.mode = found, mode

    def __call__(self, paths: Sequence[str]) -> tuple[list[Proposals], list[float], list[float]]:
        from detkit.structures import Proposals

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "found.npz"
            words = [self.python, str(HERE / "propose_opencv.py"), self.mode, str(torch.get_num_threads()), str(file)]
            done = subprocess.run(words, input="\n".join(paths), text=True, stdout=sys.stderr, check=False)
            if done.returncode:
                raise RuntimeError(f"--opencv-python {self.python}: its search failed; it needs opencv-contrib-python")
            with np.load(file) as arrays:
                boxes = [arrays[f"boxes{number}"] for number in range(len(paths))]
                seconds, cpu = arrays["seconds"].tolist(), arrays["processor_seconds"].tolist()
        for rows in boxes:
            rows[:, 2:] += rows[:, :2]
        return [Proposals(torch.from_numpy(rows), torch.linspace(1, 0, len(rows))) for rows in boxes], seconds, cpu
