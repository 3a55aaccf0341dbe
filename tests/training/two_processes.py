"""What ``test_processes.py`` starts twice: toy runs of two processes, of which each writes what it found."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.distributed as dist
from conftest import ToyDetector, toy_samples

from detkit.checkpoint import make_header
from detkit.data.loader import SampleBatch
from detkit.preprocess import PreprocessConfig
from detkit.training.config import EMAConfig, TrainingConfig
from detkit.training.errors import NotFiniteError
from detkit.training.folder import RunFolder
from detkit.training.optimizer import SGDConfig
from detkit.training.processes import Processes, joined_processes
from detkit.training.run import Run, RunData
from detkit.training.schedule import CosineConfig
from detkit.training.trainer import Trainer


def toy_run(processes: Processes, folder: Path, evaluate: object = None) -> Run:
    def batches(start: int) -> Iterator[SampleBatch]:
        while True:
            yield toy_samples(2 * start + processes.rank, 2)
            start += 1

    torch.manual_seed(3)
    folder.mkdir(exist_ok=True)
    data = RunData(batches, 4, 12, evaluate)  # type: ignore[arg-type]
    header = make_header("{}", ["thing"])
    return Run(ToyDetector(), PreprocessConfig(), data, RunFolder(folder), header, processes=processes)  # type: ignore[arg-type]


def error_where_one_has_no_number(processes: Processes, folder: Path) -> str:
    """The message in this process where a loss of the second is not a number, and no gradient shows it."""
    run = toy_run(processes, folder / "nan")
    run.detector.poison = float("nan") if processes.rank else 0.0
    try:
        Trainer(run, TrainingConfig(steps=2, precision="fp32"), SGDConfig(), CosineConfig()).fit()
    except NotFiniteError as error:
        return str(error)
    return "finished"


def difference_where_evaluated(processes: Processes, folder: Path, ema: EMAConfig | None) -> float:
    """The most by which a number of the evaluated model differs between the two, over evaluations and numbers."""
    seen: list[torch.Tensor] = []

    def evaluate(model: torch.nn.Module, step: int) -> dict[str, float]:
        seen.extend(value.detach().clone().double() for value in model.state_dict().values())
        return {"AP": 0.1}

    run = toy_run(processes, folder / f"evaluated_{ema is not None}", evaluate)
    Trainer(run, TrainingConfig(steps=4, evaluations=2, ema=ema, precision="fp32"), SGDConfig(), CosineConfig()).fit()
    first, second = processes.gathered(seen)
    return max(float((a - b).abs().max()) for a, b in zip(first, second, strict=True))


def main(rank: int, folder: Path) -> None:
    """Find all of it and write it."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    with joined_processes("cpu") as processes:
        found = {
            "plain": difference_where_evaluated(processes, folder, None),
            "mean": difference_where_evaluated(processes, folder, EMAConfig(decay=0.9, warmup_steps=2)),
            "error": error_where_one_has_no_number(processes, folder),
        }
    (folder / f"{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
