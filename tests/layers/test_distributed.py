from __future__ import annotations

import pytest
import torch
from torch import distributed

from detkit.layers import loss_normalizer, max_over_processes, mean_over_processes


def test_one_process_returns_its_value_detached() -> None:
    value = torch.tensor(3.0, requires_grad=True)
    assert mean_over_processes(value).item() == 3
    assert not mean_over_processes(value).requires_grad


def test_mean_over_two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed, "all_reduce", lambda tensor: tensor.add_(5))  # the other process has 5
    value = torch.tensor(3.0)
    assert mean_over_processes(value).item() == 4
    assert value.item() == 3, "the input must not be modified"


def test_the_normalizer_of_one_process_is_its_total_but_at_least_one() -> None:
    assert loss_normalizer(torch.tensor(7.0)).item() == 7
    assert loss_normalizer(torch.tensor(0.0)).item() == 1
    assert loss_normalizer(torch.tensor(0.0), min_total=0.5).item() == 0.5


@pytest.mark.parametrize(("own", "other", "expected"), [(3.0, 5.0, 4.0), (0.0, 1.0, 0.5), (0.0, 0.0, 0.5)])
def test_the_normalizer_is_shared_by_all_processes(monkeypatch: pytest.MonkeyPatch, own: float, other: float, expected: float) -> None:
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed, "all_reduce", lambda tensor: tensor.add_(other))
    assert loss_normalizer(torch.tensor(own)).item() == expected


def test_maximum_over_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert max_over_processes(3, torch.device("cpu")) == 3
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed, "all_reduce", lambda tensor, operation: tensor.clamp_(min=5))  # the other process has 5
    assert max_over_processes(3, torch.device("cpu")) == 5
    assert max_over_processes(7, torch.device("cpu")) == 7
