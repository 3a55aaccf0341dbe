from __future__ import annotations

from pathlib import Path

import pytest
import torch

from detkit.checkpoint import average, load_checkpoint, make_header, save_checkpoint
from detkit.cli.main import main

MODEL = '{"kind":"toy","head":{"choice":{"nms_iou":%s}}}'


def saved(folder: Path, name: str, weight: torch.Tensor, classes: tuple[str, ...] = ("cat",), overlap: float = 0.5) -> Path:
    tensors = {"conv.weight": weight, "norm.running_mean": torch.full((4,), float(weight.max())), "count": torch.tensor(len(name))}
    save_checkpoint(folder / name, tensors, make_header(MODEL % overlap, classes, metrics={"AP": 0.5}, min_score=0.3))
    return folder / name


def test_it_is_the_mean_of_all(tmp_path: Path) -> None:
    files = [saved(tmp_path, f"{'a' * n}.safetensors", torch.full((2, 3), float(value))) for n, value in enumerate((0, 1, 5), 1)]
    assert average(files, tmp_path / "mean.safetensors") == []
    found = load_checkpoint(tmp_path / "mean.safetensors")
    assert torch.equal(found.tensors["conv.weight"], torch.full((2, 3), 2.0))
    assert torch.equal(found.tensors["norm.running_mean"], torch.full((4,), 2.0))
    assert int(found.tensors["count"]) == 13
    assert (found.model_json, found.class_names) == (MODEL % 0.5, ("cat",))
    assert found.header["averaged_from"] == ["a.safetensors", "aa.safetensors", "aaa.safetensors"]
    assert (found.header["metrics"], "min_score" in found.header) == ({}, False)


def test_half_precision_is_averaged_in_whole(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(8, 8, generator=generator) for _ in range(2))
    files = [saved(tmp_path, "a.safetensors", one.half()), saved(tmp_path, "b.safetensors", other)]
    average(files, tmp_path / "mean.safetensors")
    found = load_checkpoint(tmp_path / "mean.safetensors").tensors["conv.weight"]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, (one.half().float() + other) / 2, rtol=1e-6, atol=1e-7)


def test_what_differs_in_the_config_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [saved(tmp_path, f"{n}.safetensors", torch.zeros(2, 2), overlap=n) for n in (0.5, 0.6)]
    output = tmp_path / "new" / "mean.safetensors"
    assert main(["weights", "average", *map(str, files), "--output", str(output)]) == 0
    out = capsys.readouterr().out
    assert "their models differ in head.postprocess.nms_iou; the first one's is taken\n" in out
    assert f"{output}: the mean of 2; detkit evaluate" in out
    assert load_checkpoint(output).model_json == MODEL % 0.5


def test_only_one_model_has_a_mean(tmp_path: Path) -> None:
    first = saved(tmp_path, "a.safetensors", torch.zeros(2, 2))
    wider, named = saved(tmp_path, "b.safetensors", torch.zeros(2, 3)), saved(tmp_path, "c.safetensors", torch.zeros(2, 2), ("dog",))
    less = tmp_path / "d.safetensors"
    save_checkpoint(less, {"count": torch.tensor(1)}, make_header(MODEL % 0.5, ("cat",)))
    output = tmp_path / "mean.safetensors"
    with pytest.raises(ValueError, match=r"b\.safetensors: conv\.weight is \(2, 3\), in .*a\.safetensors \(2, 2\)"):
        average([first, wider], output)
    with pytest.raises(ValueError, match=r"c\.safetensors: its classes are not those of"):
        average([first, named], output)
    with pytest.raises(ValueError, match=r"d\.safetensors: conv\.weight is not there, in .* \(2, 2\)"):
        average([first, less], output)
    with pytest.raises(ValueError, match="expected two checkpoints or more, got 1"):
        average([first], output)
    assert not output.exists()
