from __future__ import annotations

from pathlib import Path

import pytest
import torch

from detkit.checkpoint import load_checkpoint, make_header, pack, save_checkpoint


def saved(folder: Path, weight: torch.Tensor) -> Path:
    tensors = {"conv.weight": weight, "norm.running_var": torch.full((4,), 1e5), "count": torch.tensor(3)}
    path = folder / "whole.safetensors"
    header = make_header('{"kind":"toy"}', ["cat", None], experiment='{"data":"/home/me"}', metrics={"AP": 0.5}, step=9)
    save_checkpoint(path, tensors, header)
    return path


def test_weights_are_rounded_to_half_precision_but_norms_are_not(tmp_path: Path) -> None:
    weight = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    source = saved(tmp_path, weight)
    before, after = pack(source, tmp_path / "small.safetensors")
    assert (before, after) == (source.stat().st_size, (tmp_path / "small.safetensors").stat().st_size)
    assert after < before
    packed = load_checkpoint(tmp_path / "small.safetensors")
    assert packed.tensors["conv.weight"].dtype == torch.float16
    torch.testing.assert_close(packed.tensors["conv.weight"].float(), weight, rtol=2**-11, atol=0)
    assert torch.equal(packed.tensors["norm.running_var"], torch.full((4,), 1e5))  # more than half precision can hold
    assert int(packed.tensors["count"]) == 3
    assert (packed.model_json, packed.class_names) == ('{"kind":"toy"}', ("cat", None))
    assert packed.header["metrics"] == {"AP": 0.5}
    assert "/home/me" not in (tmp_path / "small.safetensors").read_bytes().decode("latin1")


def test_values_beyond_half_precision_are_an_error(tmp_path: Path) -> None:
    source = saved(tmp_path, torch.full((4, 3, 3, 3), -7e4))
    with pytest.raises(
        ValueError, match=r"whole\.safetensors: conv\.weight: 7e\+04 is too large for half precision, whose maximum is 65504"
    ):
        pack(source, tmp_path / "small.safetensors")
    assert not (tmp_path / "small.safetensors").exists()


def test_checkpoint_does_not_overwrite_itself(tmp_path: Path) -> None:
    source = saved(tmp_path, torch.zeros(4, 3, 3, 3))
    with pytest.raises(ValueError, match="expected an output file other than the source checkpoint"):
        pack(source, source)
