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
    """A program with numbers of several kinds, as it is released: half of it in half precision, one tensor a view of another."""
    torch.manual_seed(0)
    whole = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), Inner()).half()
    whole.add_module("plain", nn.Linear(4, 5))
    whole.plain.weight.data = torch.randn(4, 5).T
    torch.jit.save(torch.jit.script(whole[2]), str(path.with_name("inner.pt")))
    with torch.no_grad():
        torch.jit.save(torch.jit.script(whole), str(path))
    return whole.state_dict()


def test_tensors_of_a_program_without_running_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = archive(tmp_path / "program.pt")
    monkeypatch.setattr(torch.jit, "load", None)
    found = read_tensors(tmp_path / "program.pt")
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert found[name].dtype == tensor.dtype, name
        assert_close(found[name], tensor)


class Harm:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("harm",)


def test_an_archive_with_other_objects_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("bad.pt", "w") as made:
        made.writestr("bad/constants.pkl", b"")
        made.writestr("bad/data.pkl", pickle.dumps(Harm(), 2))
    with pytest.raises(ValueError, match="holds Python objects besides tensors, and detkit runs no code out of a file"):
        read_tensors("bad.pt")
    assert not Path("harm").exists()
