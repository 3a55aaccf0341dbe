"""Script that ``test_processes.py`` starts twice: toy runs in two processes, each of which writes its results."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist
from conftest import ToyDetector, toy_samples

from detkit.checkpoint import make_header
from detkit.data.loader import SampleBatch
from detkit.data.phases import Phase
from detkit.preprocess import PreprocessConfig
from detkit.training.config import EMAConfig, EMARestartConfig, TrainingConfig
from detkit.training.errors import NotFiniteError
from detkit.training.folder import RunFolder
from detkit.training.multi_scale import MultiScaleConfig
from detkit.training.optim.optimizer import SGDConfig
from detkit.training.optim.schedule import CosineConfig
from detkit.training.process.distributed import Processes, process_group
from detkit.training.run import Run, RunData
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


def error_of_a_nan_loss(processes: Processes, folder: Path) -> str:
    """Return the error in this process when a loss of the second is NaN and no gradient shows it."""
    run = toy_run(processes, folder / "nan")
    run.detector.poison = float("nan") if processes.rank else 0.0
    try:
        Trainer(run, TrainingConfig(steps=2, precision="fp32"), SGDConfig(), CosineConfig()).fit()
    except NotFiniteError as error:
        return str(error)
    return "finished"


def evaluated_difference(processes: Processes, folder: Path, ema: EMAConfig | None) -> float:
    """Return the largest difference between the evaluated models of the two processes, over evaluations and weights."""
    seen: list[torch.Tensor] = []

    def evaluate(model: torch.nn.Module, step: int) -> dict[str, float]:
        seen.extend(value.detach().clone().double() for value in model.state_dict().values())
        return {"AP": 0.1}

    run = toy_run(processes, folder / f"evaluated_{ema is not None}", evaluate)
    Trainer(run, TrainingConfig(steps=4, evaluations=2, ema=ema, precision="fp32"), SGDConfig(), CosineConfig()).fit()
    first, second = processes.gather(seen)
    return max(float((a - b).abs().max()) for a, b in zip(first, second, strict=True))


def last_part(processes: Processes, folder: Path) -> dict[str, object]:
    """Return the batches of a run whose last part restarts from its best evaluation, and the difference of the processes at its end."""
    metrics, used = iter((0.1, 0.3, 0.2, 0.1)), []
    run = toy_run(processes, folder / "last_part", lambda model, step: {"AP": next(metrics)})

    def phase(start: float, name: str) -> Phase[SampleBatch]:
        def batches(first: int) -> Iterator[SampleBatch]:
            for step, batch in enumerate(run.data.batches(first), first):
                used.append(f"{name}{step}")
                yield batch

        return Phase(start, batches, name)

    run.data = replace(run.data, phases=(phase(0.0, "a"), phase(0.75, "b")))
    ema = EMAConfig(decay=0.9, warmup_steps=2, restart=EMARestartConfig(at=0.75, decay=0.5))
    scales = MultiScaleConfig(min_size=32, max_size=64, every_steps=1, between=(0.0, 0.75))
    trainer = Trainer(
        run, TrainingConfig(steps=8, evaluations=4, ema=ema, multi_scale=scales, precision="fp32"), SGDConfig(), CosineConfig()
    )
    trainer.fit()
    weights = [*run.detector.parameters(), *trainer.model.parameters()]
    first, second = processes.gather([weight.detach().double() for weight in weights])
    difference = max(float((a - b).abs().max()) for a, b in zip(first, second, strict=True))
    updates = 0 if trainer.ema is None else trainer.ema.updates
    return {"used": used, "difference": difference, "updates": updates, "restarted": trainer.ema is not None and trainer.ema.restarted}


def main(rank: int, folder: Path) -> None:
    """Run everything and write the results."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    with process_group("cpu") as processes:
        results = {
            "plain": evaluated_difference(processes, folder, None),
            "mean": evaluated_difference(processes, folder, EMAConfig(decay=0.9, warmup_steps=2)),
            "error": error_of_a_nan_loss(processes, folder),
            "last_part": last_part(processes, folder),
        }
    (folder / f"{rank}.json").write_text(json.dumps(results))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
