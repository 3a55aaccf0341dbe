from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from detkit.training.config import EMAConfig
from detkit.training.optim.ema import EMA


def test_ema_is_the_moving_average_of_weights_and_buffers() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    ema = EMA(model, EMAConfig(decay=0.5, warmup_steps=0))
    expected = model[0].weight.detach().clone()
    for _ in range(3):
        with torch.no_grad():
            model[0].weight.add_(1.0)
            model[1].running_mean.add_(8.0)  # type: ignore[union-attr,operator]
            model[1].num_batches_tracked.add_(1)  # type: ignore[union-attr,operator]
        ema.update(model)
        expected = 0.5 * expected + 0.5 * model[0].weight.detach()
    torch.testing.assert_close(ema.model[0].weight, expected)  # type: ignore[index]
    torch.testing.assert_close(ema.model[1].running_mean, torch.full((2,), 17.0))  # type: ignore[index]
    assert ema.model[1].num_batches_tracked == 3  # type: ignore[index]
    assert not any(p.requires_grad for p in ema.model.parameters())


def test_ema_decay_warms_up() -> None:
    ema = EMA(nn.Linear(1, 1), EMAConfig(decay=0.9, warmup_steps=10))
    assert ema.decay() == pytest.approx(0.9 * (1 - math.exp(-0.1)))
    ema.updates = 1000
    assert ema.decay() == pytest.approx(0.9)
