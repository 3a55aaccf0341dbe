from __future__ import annotations

from typing import Any

import pytest
import torch

from detkit.training.process.distributed import process_group, resolve_device, torch_threads


def test_threads_are_set_inside_the_block() -> None:
    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with torch_threads(None):
        assert torch.get_num_threads() == before


def test_devices() -> None:
    assert resolve_device("cpu").type == "cpu"
    with pytest.raises(ValueError, match=r"device 'cuda:99': this machine has \d+ CUDA devices"):
        resolve_device("cuda:99")
    with pytest.raises(ValueError, match="expected auto, cpu, cuda"):
        resolve_device("tpu9")


@pytest.mark.parametrize("requested", ["auto", "cuda"])
def test_every_process_uses_its_gpu_and_nccl(requested: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check the calls to torch, so that no GPU is needed."""
    calls: list[Any] = []
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", calls.append)
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    for name, answer in {"init_process_group": calls.append, "destroy_process_group": lambda: None}.items():
        monkeypatch.setattr(torch.distributed, name, answer)
    for name, answer in {"get_rank": lambda: 1, "get_world_size": lambda: 2}.items():
        monkeypatch.setattr(torch.distributed, name, answer)
    with process_group(requested) as processes:
        assert calls == [torch.device("cuda", 1), "nccl"]
        assert resolve_device(requested, processes.local_rank, processes.world) == torch.device("cuda", 1)
    with pytest.raises(ValueError, match="no GPU for process 2 of this machine, which has 2 GPUs; start one process per GPU"):
        resolve_device(requested, 2, 3)
    with pytest.raises(ValueError, match="without an index, as each of the 2 processes uses its own GPU; use --device cuda"):
        resolve_device("cuda:1", 0, 2)


def test_apple_gpus_train_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto").type == "mps"
    assert resolve_device("auto", 0, 2).type == "cpu"
    with pytest.raises(ValueError, match="device 'mps': expected one process, got 2"):
        resolve_device("mps", 0, 2)
