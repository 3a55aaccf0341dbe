"""The commands that ``kill_test.py`` kills."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detkit.checkpoint import load_checkpoint

Words = list[str]


@dataclass(frozen=True)
class Job:
    """A command that is killed.

    Attributes:
        command: Returns its words for a folder of output.
        again: Returns the words that continue it after a kill.
        result: Returns what an undisturbed and a continued run must have in common.
        begin: Fraction of the undisturbed duration from which it is killed.
    """

    command: Callable[[Path], Words]
    again: Callable[[Path], Words]
    result: Callable[[Path], Any]
    begin: float = 0.0


def _trainings(data: Path) -> dict[str, Job]:
    """Return the jobs that train: a detector, and one that caches features."""
    small = ["training.budget=none", "model.preprocess.short_side=64", "model.preprocess.long_side=96", "training.log_every=1"]
    source = [f"data.train.path={data}", f"data.val.path={data}", "--device", "cpu"]
    saving = "training.save_minutes=0.0001"

    def train(config: str, *overrides: str) -> Job:
        def again(folder: Path) -> Words:
            run = folder / "run"
            if (run / "last.state").is_file():
                return ["train", "--resume", str(run), "--device", "cpu"]
            return ["train", config, *small, *source, *overrides, f"output={folder / 'run-2'}"]

        return Job(lambda folder: ["train", config, *small, *source, *overrides, f"output={folder / 'run'}"], again, weights, 0.3)

    light = ("training.steps=4", "training.evaluations=2", saving, "model.neck.out_channels=8", "model.region.head.hidden=32")
    rcnn = ("training.steps=1", "training.evaluations=1", "loader.workers=0", "loader.batch_size=1", "model.warp_size=64")
    rcnn += ("model.proposals.max_proposals=20", "model.proposals.mode=single", "model.proposals.cache=none", "evaluation.max_images=2")
    rcnn += ("training.accumulation_steps=1", "stages.1.budget_share=none", "stages.2.budget_share=none", "model.region.head.hidden=32")
    return {"train": train("quickstart", *light), "features": train("rcnn_lite0_bccd", *rcnn)}


def jobs(data: Path) -> dict[str, Job]:
    """Return the jobs on the generated images in a folder."""
    images = str(data / "images" / "**" / "*.jpg")
    detect = lambda folder: [  # noqa: E731
        *("detect", images, "--device", "cpu", "--output", str(folder / "drawn"), "--json", str(folder / "found.json")),
        *("--labels", str(folder / "labels"), "--min-score", "0.1"),
    ]

    def detect_again(folder: Path) -> Words:
        shutil.rmtree(folder / "labels", ignore_errors=True)  # an unfinished data set, into which the command would not write
        return detect(folder)

    propose = lambda folder: ["propose", images, "--mode", "single", "--cache", str(folder / "cache"), "--output", str(folder / "p.json")]  # noqa: E731
    export = lambda folder: ["export", "--output", str(folder / "model.onnx")]  # noqa: E731
    bulk = lambda folder: ["detect", images, "--shard", "0/1", "--output", str(folder / "found"), "--device", "cpu"]  # noqa: E731
    pack = lambda folder: ["data", "shard", str(data), str(folder / "shards"), "--size-mb", "1"]  # noqa: E731
    return {
        **_trainings(data),
        "detect": Job(detect, detect_again, lambda folder: without_times(json.loads((folder / "found.json").read_text()))),
        "propose": Job(propose, propose, lambda folder: json.loads((folder / "p.json").read_text())),
        "export": Job(export, export, lambda folder: (folder / "model.onnx").stat().st_size),
        "bulk": Job(bulk, bulk, lambda folder: parquet_rows(next((folder / "found").glob("*.parquet")))),
        "pack": Job(pack, pack, lambda folder: {path.name: path.read_bytes() for path in (folder / "shards").iterdir()}),
    }


def parquet_rows(path: Path) -> Any:
    """Return the rows of a Parquet file."""
    from pyarrow import parquet

    return parquet.ParquetFile(path).read().to_pylist()


def weights(folder: Path) -> dict[str, Any]:
    """Return the last weights of a training as lists of bytes by name."""
    run = folder / "run" if (folder / "run" / "last.state").is_file() else folder / "run-2"
    return {name: tensor.numpy().tobytes() for name, tensor in load_checkpoint(run / "last.safetensors").tensors.items()}


def without_times(value: Any) -> Any:
    """Return a JSON value without measured times and paths of output."""
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if "seconds" not in key and key not in {"drawn", "drawing"}}
    return [without_times(item) for item in value] if isinstance(value, list) else value
