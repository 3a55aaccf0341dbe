"""Losses and gradients of heads with queries in two processes with one image each, and in one with both."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed
from torch.testing import assert_close

from detkit.heads.queries.denoising import DenoisingConfig
from detkit.heads.queries.detr import DETRHeadConfig
from detkit.heads.queries.dfine import DFINEHeadConfig
from detkit.heads.queries.rtdetr import RTDETRHeadConfig
from detkit.structures import Batch, Targets

SIZE = (64, 96)
COPIES = DenoisingConfig(queries=8)
QUERIES = {"channels": 16, "attention_heads": 2, "layers": 2, "hidden": 16, "points": (2,), "num_queries": 9, "denoising": COPIES}
CONFIGS = {
    "detr": DETRHeadConfig(
        channels=16, attention_heads=2, encoder_layers=1, decoder_layers=2, hidden=16, num_queries=9, dropout=0.0, denoising=COPIES
    ),
    "rtdetr": RTDETRHeadConfig(**QUERIES),
    "dfine": DFINEHeadConfig(**QUERIES, bins=8),
}


def compute(kind: str, images: slice) -> dict[str, Tensor]:
    """Return the losses of some of two images, and the gradients of their sum; norms use their running statistics."""
    torch.manual_seed(0)
    head = CONFIGS[kind].build((8,), (16,), 4).eval()
    for parameter in head.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.2)
    boxes = torch.tensor([[5.0, 6.0, 40.0, 50.0], [50.0, 10.0, 90.0, 30.0], [0.0, 0.0, 96.0, 64.0]])
    targets = [Targets.of(boxes, torch.tensor([1, 3, 0])), Targets.of(boxes[:1] * 0.8, torch.tensor([2]))][images]
    maps = [torch.randn(2, 8, 4, 6, generator=torch.Generator().manual_seed(1))[images]]
    batch = Batch(torch.zeros(len(targets), 3, *SIZE), (SIZE,) * len(targets), (3, 4)[images])
    losses = head.loss(head.forward_with_targets(maps, batch, targets), [], batch, targets)
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    gradients = {name: parameter.grad for name, parameter in head.named_parameters() if parameter.grad is not None}
    return {name: value.detach() for name, value in losses.items()} | gradients


def main(rank: int, folder: str) -> None:
    """Compute one image of each head, and write the results."""
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.save({kind: compute(kind, slice(rank, rank + 1)) for kind in CONFIGS}, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path: Path) -> None:
    """Gradients, and losses divided by what all processes have, are means over the processes."""
    runs = [subprocess.Popen([sys.executable, __file__, str(rank), str(tmp_path)]) for rank in range(2)]
    assert [run.wait(timeout=200) for run in runs] == [0, 0]
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    for kind in CONFIGS:
        for name, expected in compute(kind, slice(0, 2)).items():
            mean = (first[kind][name] + second[kind][name]) / 2
            assert_close(mean, expected, rtol=1e-4, atol=1e-5, msg=lambda text, key=(kind, name): f"{key}: {text}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
