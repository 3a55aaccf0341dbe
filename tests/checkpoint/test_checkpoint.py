from __future__ import annotations

from pathlib import Path

import pytest
import torch

from detkit.checkpoint import atomic_write, load_checkpoint, load_state, make_header, read_header, save_checkpoint, save_state


def test_round_trip_keeps_tensors_and_header(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 4), "b.half": torch.randn(5).to(torch.bfloat16), "n": torch.tensor(7)}
    header = make_header('{"kind":"toy"}', ["cat", None, "dög"], experiment="{}", metrics={"AP": 0.1 + 0.2}, step=12)
    save_checkpoint(tmp_path / "run" / "best.safetensors", tensors, header)
    checkpoint = load_checkpoint(tmp_path / "run" / "best.safetensors")
    assert checkpoint.header == header
    assert checkpoint.class_names == ("cat", None, "dög")
    assert checkpoint.model_json == '{"kind":"toy"}'
    for name, tensor in tensors.items():
        torch.testing.assert_close(checkpoint.tensors[name], tensor, rtol=0, atol=0)
    assert read_header(tmp_path / "run" / "best.safetensors")["metrics"] == {"AP": 0.1 + 0.2}


def test_views_and_tensors_that_share_memory_are_saved(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    tensors = {
        "whole": base,
        "same": base,
        "column": base[:, 1],
        "channels_last": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
    }
    save_checkpoint(tmp_path / "c.safetensors", tensors, make_header("{}", ["a"]))
    loaded = load_checkpoint(tmp_path / "c.safetensors").tensors
    for name, tensor in tensors.items():
        torch.testing.assert_close(loaded[name], tensor.contiguous(), rtol=0, atol=0)


def test_failed_write_leaves_only_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "c.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as temporary:
        temporary.write_text(f"half of the new {1 / 0}")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["c.txt"]


def test_state_round_trip(tmp_path: Path) -> None:
    state = {"step": 3, "rng": {"python": (3, (1, 2, 3), None), "torch": torch.get_rng_state()}, "best": 0.5, "names": ["a", None]}
    save_state(tmp_path / "last.state", state)
    loaded = load_state(tmp_path / "last.state")
    assert torch.equal(loaded["rng"].pop("torch"), state["rng"].pop("torch"))  # type: ignore[index,attr-defined]
    assert loaded == state


def test_checkpoint_has_the_permissions_of_other_new_files(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    save_checkpoint(tmp_path / "a.safetensors", {"a": torch.zeros(2)}, make_header("{}", ["a"]))
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode
