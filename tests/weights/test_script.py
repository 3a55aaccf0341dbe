from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from detkit.weights.read import read_tensors


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.randn(3))
        self.register_buffer("steps", torch.tensor(7))
        self.sizes, self.name = [1, 2, 3], "inner"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gain + self.sizes[0]


def archive(path: Path) -> dict[str, torch.Tensor]:
    """Save a TorchScript program with tensors of several types: part of it in half precision, one tensor a view of another."""
    torch.manual_seed(0)
    whole = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), Inner()).half()
    whole.add_module("plain", nn.Linear(4, 5))
    whole.plain.weight.data = torch.randn(4, 5).T
    torch.jit.save(torch.jit.script(whole[2]), str(path.with_name("inner.pt")))
    with torch.no_grad():
        torch.jit.save(torch.jit.script(whole), str(path))
    return whole.state_dict()


def test_tensors_are_read_without_running_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = archive(tmp_path / "program.pt")
    monkeypatch.setattr(torch.jit, "load", None)
    loaded = read_tensors(tmp_path / "program.pt")
    assert loaded.keys() == expected.keys()
    for name, tensor in expected.items():
        assert loaded[name].dtype == tensor.dtype, name
        assert_close(loaded[name], tensor)


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("harm",)


def test_archive_with_other_objects_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("bad.pt", "w") as archived:
        archived.writestr("bad/constants.pkl", b"")
        archived.writestr("bad/data.pkl", pickle.dumps(Harmful(), 2))
    with pytest.raises(ValueError, match="contains Python objects besides tensors, and detkit executes no code from files"):
        read_tensors("bad.pt")
    assert not Path("harm").exists()
