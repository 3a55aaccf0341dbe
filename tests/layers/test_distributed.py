from __future__ import annotations

import pytest
import torch
from torch import distributed

from detkit.layers import mean_over_processes


def test_one_process_gets_its_own_value_detached() -> None:
    value = torch.tensor(3.0, requires_grad=True)
    assert mean_over_processes(value).item() == 3
    assert not mean_over_processes(value).requires_grad


def test_the_mean_over_two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed, "all_reduce", lambda tensor: tensor.add_(5))  # the other process has 5
    mine = torch.tensor(3.0)
    assert mean_over_processes(mine).item() == 4
    assert mine.item() == 3, "what came in must not change"
