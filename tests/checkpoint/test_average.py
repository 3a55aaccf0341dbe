from __future__ import annotations

from pathlib import Path

import pytest
import torch

from detkit.checkpoint import average, load_checkpoint, make_header, save_checkpoint
from detkit.cli.main import main

MODEL = '{"kind":"toy","head":{"postprocess":{"nms_iou":%s}}}'


def saved(folder: Path, name: str, weight: torch.Tensor, classes: tuple[str, ...] = ("cat",), overlap: float = 0.5) -> Path:
    tensors = {"conv.weight": weight, "norm.running_mean": torch.full((4,), float(weight.max())), "count": torch.tensor(len(name))}
    save_checkpoint(folder / name, tensors, make_header(MODEL % overlap, classes, metrics={"AP": 0.5}, min_score=0.3))
    return folder / name


def test_weights_are_the_mean(tmp_path: Path) -> None:
    files = [saved(tmp_path, f"{'a' * n}.safetensors", torch.full((2, 3), float(value))) for n, value in enumerate((0, 1, 5), 1)]
    assert average(files, tmp_path / "mean.safetensors") == []
    checkpoint = load_checkpoint(tmp_path / "mean.safetensors")
    assert torch.equal(checkpoint.tensors["conv.weight"], torch.full((2, 3), 2.0))
    assert torch.equal(checkpoint.tensors["norm.running_mean"], torch.full((4,), 2.0))
    assert int(checkpoint.tensors["count"]) == 13
    assert (checkpoint.model_json, checkpoint.class_names) == (MODEL % 0.5, ("cat",))
    assert checkpoint.header["averaged_from"] == ["a.safetensors", "aa.safetensors", "aaa.safetensors"]
    assert (checkpoint.header["metrics"], "min_score" in checkpoint.header) == ({}, False)


def test_half_precision_is_averaged_in_full_precision(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(8, 8, generator=generator) for _ in range(2))
    files = [saved(tmp_path, "a.safetensors", one.half()), saved(tmp_path, "b.safetensors", other)]
    average(files, tmp_path / "mean.safetensors")
    mean = load_checkpoint(tmp_path / "mean.safetensors").tensors["conv.weight"]
    assert mean.dtype == torch.float32
    torch.testing.assert_close(mean, (one.half().float() + other) / 2, rtol=1e-6, atol=1e-7)


def test_config_differences_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [saved(tmp_path, f"{n}.safetensors", torch.zeros(2, 2), overlap=n) for n in (0.5, 0.6)]
    output = tmp_path / "new" / "mean.safetensors"
    assert main(["models", "average", *map(str, files), "--output", str(output)]) == 0
    out = capsys.readouterr().out
    assert "the models differ in head.postprocess.nms_iou; the first model's values are used\n" in out
    assert f"{output}: the mean of 2 models; evaluate it with: detkit evaluate" in out
    assert load_checkpoint(output).model_json == MODEL % 0.5


def test_only_one_model_has_a_mean(tmp_path: Path) -> None:
    first = saved(tmp_path, "a.safetensors", torch.zeros(2, 2))
    wider, named = saved(tmp_path, "b.safetensors", torch.zeros(2, 3)), saved(tmp_path, "c.safetensors", torch.zeros(2, 2), ("dog",))
    less = tmp_path / "d.safetensors"
    save_checkpoint(less, {"count": torch.tensor(1)}, make_header(MODEL % 0.5, ("cat",)))
    output = tmp_path / "mean.safetensors"
    with pytest.raises(ValueError, match=r"b\.safetensors: conv\.weight is \(2, 3\), in .*a\.safetensors \(2, 2\)"):
        average([first, wider], output)
    with pytest.raises(ValueError, match=r"c\.safetensors: its classes differ from those of"):
        average([first, named], output)
    with pytest.raises(ValueError, match=r"d\.safetensors: conv\.weight is missing, in .* \(2, 2\)"):
        average([first, less], output)
    with pytest.raises(ValueError, match="expected at least two checkpoints, got 1"):
        average([first], output)
    assert not output.exists()
