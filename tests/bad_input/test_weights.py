"""Files of weights that are not what they should be: the message a person reads."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from detkit.backbones import BackboneConfig, load_backbone_weights
from detkit.weights.read import read_tensors


class RunsCode:
    """What a hostile pickle holds."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('code out of a file was run')",))


def loading(weights: str) -> None:
    config = BackboneConfig(name="resnet18", weights=weights)
    load_backbone_weights(config.build(), config)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"weights .*none\.pth: no such file"):
        read_tensors(tmp_path / "none.pth")


@pytest.mark.parametrize("content", [b"", b"not a pickle", b"\x80\x02}q\x00"])
def test_a_file_that_is_none_of_torchs(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.pth").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"weights .*odd\.pth: expected tensors saved by torch, or \.safetensors; the file is truncated or of another kind"
    ):
        read_tensors(tmp_path / "odd.pth")


def test_a_file_of_torchs_that_was_cut(tmp_path: Path) -> None:
    torch.save({"a": torch.randn(100, 100)}, tmp_path / "whole.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:20_000])
    with pytest.raises(ValueError, match=r"cut\.pth: expected tensors saved by torch"):
        read_tensors(tmp_path / "cut.pth")


@pytest.mark.parametrize("cut", [4, 60, 300])
def test_a_safetensors_file_that_was_cut(tmp_path: Path, cut: int) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.randn(100, 100)}, tmp_path / "a.safetensors")
    (tmp_path / "a.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"weights .*a\.safetensors: expected a safetensors file; it is truncated or of another kind"):
        read_tensors(tmp_path / "a.safetensors")


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04cut"])
def test_a_file_that_is_none_of_numpys(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"weights .*odd\.npz: expected arrays saved by numpy; it is truncated or of another kind"):
        read_tensors(tmp_path / "odd.npz")


def test_arrays_of_python_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "odd.npz", a=np.array([RunsCode()], dtype=object))
    with pytest.raises(ValueError, match=r"odd\.npz: expected arrays saved by numpy"):
        read_tensors(tmp_path / "odd.npz")


def test_a_pickle_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.zeros(1)}, "extra": RunsCode()}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match="the file contains Python objects besides tensors, and detkit executes no code from files"):
        read_tensors(tmp_path / "evil.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(RunsCode()))
    with pytest.raises(ValueError, match=r"weights .*plain\.pth"):
        read_tensors(tmp_path / "plain.pth")


def test_a_whole_model_instead_of_its_state(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pth")
    with pytest.raises(ValueError, match=r"Python objects besides tensors.*save a plain state dict"):
        read_tensors(tmp_path / "model.pth")


@pytest.mark.parametrize(("content", "got"), [([1, 2], "list"), ({}, "a mapping with "), ({"epoch": 3}, "a mapping with epoch")])
def test_a_file_without_tensors(tmp_path: Path, content: object, got: str) -> None:
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(ValueError, match=rf"odd\.pth: expected a state dict, a mapping of names to tensors, got {got}"):
        read_tensors(tmp_path / "odd.pth")


def test_another_networks_file(tmp_path: Path) -> None:
    from torchvision import models

    torch.save(models.resnet34().state_dict(), tmp_path / "other.pth")
    with pytest.raises(
        ValueError, match=r"other\.pth: expected the tensors of resnet18, got \d+ unknown \(layer1\.2\.conv1\.weight.*another network"
    ):
        loading(str(tmp_path / "other.pth"))
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "part.pth")
    with pytest.raises(ValueError, match=r"part\.pth: expected the tensors of resnet18, got \d+ missing \(bn1\.weight, bn1\.bias"):
        loading(str(tmp_path / "part.pth"))


def test_weights_that_are_neither_a_name_nor_a_file() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        loading("resnet18_v9")
    assert str(caught.value) == (
        "model.backbone.weights=resnet18_v9: expected one of resnet18, a file or a run's folder for resnet18; there is no such file; "
        "model.backbone.weights=none trains from scratch"
    )


def test_absent_weights_never_become_a_random_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("DETKIT_WEIGHTS", "XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    with pytest.raises(FileNotFoundError) as caught:
        loading("default")
    assert str(caught.value) == (
        "weights resnet18 not found: run `detkit models download resnet18` (45 MiB), or put "
        f"https://download.pytorch.org/models/resnet18-f37072fd.pth into the folder {tmp_path}; "
        "model.backbone.weights=none trains from scratch"
    )
