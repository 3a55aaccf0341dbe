from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from detkit.backbones import BackboneConfig
from detkit.heads.fcos import FCOSHead, FCOSHeadConfig
from detkit.heads.one_stage import Outputs
from detkit.models.fcos import FCOSConfig
from detkit.necks import FPNConfig
from detkit.structures import Batch, Targets


class ShownTargets(FCOSHead):
    """Is shown the labels of the targets in training, and learns from them."""

    def forward_with_targets(self, maps: Sequence[Tensor], batch: Batch, targets: Sequence[Targets]) -> Outputs:
        return (*self(maps, batch), torch.stack([rows.labels.float().sum() for rows in targets]))

    def loss(self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        *predicted, shown = outputs
        return super().loss(tuple(predicted), locations, batch, targets) | {"shown": shown.sum()}


def test_a_head_is_shown_targets_in_training_only() -> None:
    config = FCOSConfig(
        backbone=BackboneConfig(name="resnet18", weights=None, levels=("c3", "c4", "c5")),
        neck=FPNConfig(out_channels=32),
        head=FCOSHeadConfig(depth=1),
    )
    detector, images = config.build(3).eval(), [torch.rand(3, 64, 64), torch.rand(3, 64, 96)]
    targets = [Targets.of(torch.tensor([[4.0, 4.0, 40.0, 50.0]]), torch.tensor([label])) for label in (1, 2)]
    plain = detector(images, targets)
    detector.head.__class__ = ShownTargets
    shown = detector(images, targets)
    assert float(shown.pop("shown").detach()) == 3.0
    assert {name: float(loss.detach()) for name, loss in shown.items()} == {name: float(loss.detach()) for name, loss in plain.items()}
    assert len(detector(images)) == 2
