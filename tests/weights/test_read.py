from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from detkit.weights.read import read_tensors


def test_all_file_types_give_the_same_tensors(tmp_path: Path) -> None:
    tensors = {"a.weight": torch.randn(2, 3), "a.bias": torch.arange(3)}
    torch.save(tensors, tmp_path / "a.pth")
    save_file(tensors, tmp_path / "a.safetensors")
    np.savez(tmp_path / "a.npz", **{name: tensor.numpy() for name, tensor in tensors.items()})
    for loaded in (read_tensors(tmp_path / "a.pth"), read_tensors(str(tmp_path / "a.safetensors")), read_tensors(tmp_path / "a.npz")):
        assert set(loaded) == set(tensors)
        assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)


def test_parameters_and_wrappers(tmp_path: Path) -> None:
    layer = torch.nn.Linear(2, 2)
    torch.save({"state_dict": dict(layer.named_parameters()), "epoch": 1}, tmp_path / "a.pth")
    assert torch.equal(read_tensors(tmp_path / "a.pth")["weight"], layer.weight)


def test_an_archive_that_grows_beyond_measure_is_not_unpacked(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", w=np.zeros(100 << 20, np.uint8))
    with pytest.raises(ValueError, match=r"weights .*a\.npz: .* bytes would become 104,857,\d+"):
        read_tensors(tmp_path / "a.npz")
    np.savez_compressed(tmp_path / "b.npz", w=np.zeros(1 << 20, np.uint8))
    assert read_tensors(tmp_path / "b.npz")["w"].shape == (1 << 20,)


def test_a_tensor_of_repeated_numbers_is_not_unfolded(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1).expand(10**6, 10**6)}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"weights .*a\.pth: w: expected as many numbers as the file stores"):
        read_tensors(tmp_path / "a.pth")
