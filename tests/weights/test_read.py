from __future__ import annotations

import argparse
import logging
from collections import Counter
from pathlib import Path
from typing import Any

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


PLAIN, AVERAGE = {"weight": torch.zeros(2)}, {"weight": torch.ones(2), "norm.num_batches_tracked": torch.tensor(7)}


@pytest.mark.parametrize(
    ("content", "key", "plain"),
    [
        ({"model": PLAIN, "ema": {"module": AVERAGE, "updates": 9}, "last_epoch": 3}, "ema", "model"),  # RT-DETR, D-FINE, DEIM
        ({"ema": {"module": AVERAGE, "updates": 9}}, "ema", None),  # RT-DETR's published files
        ({"state_dict": PLAIN, "state_dict_ema": AVERAGE, "arch": "resnet50"}, "state_dict_ema", "state_dict"),  # timm
        (
            {"model": PLAIN, "model_ema": {"n_averaged": torch.tensor(2), **{f"module.{name}": value for name, value in AVERAGE.items()}}},
            "model_ema",
            "model",
        ),  # torchvision
    ],
)
def test_the_moving_average_is_preferred_and_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: dict[str, Any], key: str, plain: str | None
) -> None:
    torch.save(content, tmp_path / "a.pth")
    with caplog.at_level(logging.INFO, "detkit.weights"):
        loaded = read_tensors(tmp_path / "a.pth")
    assert loaded.keys() == AVERAGE.keys()
    assert all(torch.equal(loaded[name], AVERAGE[name]) for name in AVERAGE)
    others = f", not its plain weights ({plain!r})" if plain else ""
    assert caplog.messages == [f"weights {tmp_path / 'a.pth'}: using the moving average of the weights in the file ({key!r}){others}"]


@pytest.mark.parametrize("average", [None, {}])
def test_a_file_without_a_moving_average(tmp_path: Path, caplog: pytest.LogCaptureFixture, average: object) -> None:
    torch.save({"model": PLAIN, "ema": average}, tmp_path / "a.pth")
    with caplog.at_level(logging.INFO, "detkit.weights"):
        assert torch.equal(read_tensors(tmp_path / "a.pth")["weight"], PLAIN["weight"])
    assert not caplog.messages


def test_a_moving_average_of_something_else(tmp_path: Path) -> None:
    torch.save({"model": PLAIN, "ema": {"decay": 0.9999, "updates": 9}}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"weights .*a\.pth: expected a state dict, .* got a mapping with decay, updates"):
        read_tensors(tmp_path / "a.pth")


class Model:
    """A class that a file must not bring with it."""


def test_a_training_checkpoint_may_have_its_arguments_but_no_objects(tmp_path: Path) -> None:
    training = {"args": argparse.Namespace(lr=1e-4), "lr_scheduler": {"milestones": Counter([500])}, "date": "2024-10-18"}
    torch.save({"model": PLAIN, **training}, tmp_path / "a.pth")
    assert torch.equal(read_tensors(tmp_path / "a.pth")["weight"], PLAIN["weight"])
    torch.save({"model": PLAIN, "ema": Model()}, tmp_path / "b.pth")
    with pytest.raises(ValueError, match="contains Python objects besides tensors, and detkit executes no code from files"):
        read_tensors(tmp_path / "b.pth")


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
