from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from detkit.checkpoint import make_header
from detkit.data.loader import Sample, SampleBatch
from detkit.preprocess import PreprocessConfig
from detkit.structures import Targets
from detkit.training.folder import RunFolder
from detkit.training.run import Run, RunData


class ToyDetector(nn.Module):
    """A model with the state that exact resuming must restore: batch norm buffers, dropout, and noise drawn from the seeds."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU())
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(8, 4)
        self.poison: float = 0.0

    def forward(self, images: list[Tensor], targets: list[Targets], proposals: object, seeds: list[int]) -> dict[str, Tensor]:
        maps = self.backbone(torch.stack(images)).mean((2, 3))
        boxes = self.head(self.dropout(maps)).float()
        noise = torch.stack([torch.randn(4, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
        target_boxes = torch.stack([target.boxes.sum(0) / 32 if len(target) else boxes.new_zeros(4) for target in targets])
        box = (boxes - target_boxes + 0.01 * noise).abs().mean()
        return {"box": box + self.poison, "size": 0.1 * boxes.square().mean()}

    def set_progress(self, progress: float) -> None:
        """Do nothing: the model does not depend on the progress."""


def toy_samples(step: int, batch_size: int) -> SampleBatch:
    samples = []
    for position in range(batch_size):
        index = (step * batch_size + position) % 12
        generator = torch.Generator().manual_seed(index)
        image = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8, generator=generator)
        corner = torch.rand(index % 3, 2, generator=generator) * 16
        targets = Targets.of(torch.cat([corner, corner + 8], 1), torch.zeros(index % 3, dtype=torch.int64))
        samples.append(Sample(image, targets, f"image_{index}.jpg", index, step * batch_size + position))
    return SampleBatch.of(samples)


def toy_batches(start: int) -> Iterator[SampleBatch]:
    step = start
    while True:
        yield toy_samples(step, 4)
        step += 1


@pytest.fixture(name="toy_batches")
def batches_fixture() -> Callable[[int], Iterator[SampleBatch]]:
    return toy_batches


@pytest.fixture
def toy_run(tmp_path: Path) -> Callable[..., Run]:
    def make(folder: str = "run", **options: Any) -> Run:
        torch.manual_seed(3)
        data = options.pop("data", None) or RunData(toy_batches, 4, 12, options.pop("evaluate", None))  # type: ignore[arg-type]
        path = tmp_path / folder
        path.mkdir(exist_ok=True)
        return Run(ToyDetector(), PreprocessConfig(), data, RunFolder(path), make_header("{}", ["thing"]), **options)  # type: ignore[arg-type]

    return make
