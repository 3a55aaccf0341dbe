from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from detkit.backbones import BackboneConfig, load_backbone_weights


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    """State dict of a seeded torchvision ResNet-18, as in its published files."""
    torch.manual_seed(3)
    return models.resnet18().state_dict()


def loaded(path: Path | str, **options: Any) -> tuple[Any, Any]:
    config = BackboneConfig(name="resnet18", weights=str(path), **options)
    backbone = config.build()
    return backbone, load_backbone_weights(backbone, config)


@pytest.mark.parametrize("norm", ["frozen", "train"])
@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_user_file(published: dict[str, torch.Tensor], tmp_path: Path, ending: str, norm: str) -> None:
    path = tmp_path / f"mine{ending}"
    save_file(published, path) if ending == ".safetensors" else torch.save(published, path)
    backbone, report = loaded(path, norm=norm)
    assert report.source == path
    assert set(report.unused_names) == {"fc.weight", "fc.bias"}
    assert all(torch.equal(value, published[name]) for name, value in backbone.state_dict().items())


@pytest.mark.parametrize("wrapper", ["state_dict", "model"])
def test_wrapped_state_dicts(published: dict[str, torch.Tensor], tmp_path: Path, wrapper: str) -> None:
    torch.save({wrapper: published, "epoch": 3}, tmp_path / "mine.pth")
    backbone, _ = loaded(tmp_path / "mine.pth")
    assert torch.equal(backbone.conv1.weight, published["conv1.weight"])


def test_files_without_batch_counters(published: dict[str, torch.Tensor], tmp_path: Path) -> None:
    old = {name: value for name, value in published.items() if not name.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "old.pth")
    for norm in ("frozen", "train"):
        backbone, _ = loaded(tmp_path / "old.pth", norm=norm)
        assert torch.equal(backbone.layer4[1].bn2.running_var, published["layer4.1.bn2.running_var"])


def test_unused_names_are_logged(published: dict[str, torch.Tensor], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch.save(published, tmp_path / "mine.pth")
    with caplog.at_level(logging.INFO, "detkit"):
        _, report = loaded(tmp_path / "mine.pth", levels=("c4",))
    assert "not used: " in caplog.text
    assert "fc.weight" in caplog.text
    assert "layer4.0.conv1.weight" in report.unused_names


def test_frozen_stages_stay_frozen_after_loading(published: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save(published, tmp_path / "mine.pth")
    backbone, _ = loaded(tmp_path / "mine.pth", frozen_stages=2)
    learning = {name.split(".")[0] for name, parameter in backbone.named_parameters() if parameter.requires_grad}
    assert learning == {"layer2", "layer3", "layer4"}


def test_none_trains_from_scratch() -> None:
    config = BackboneConfig(name="resnet18", weights=None)
    backbone = config.build()
    before = backbone.conv1.weight.clone()
    assert load_backbone_weights(backbone, config).source is None
    assert torch.equal(backbone.conv1.weight, before)


def test_default_is_found_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of that name is found, and rejected because it is not the published one."""
    monkeypatch.setenv("DETKIT_WEIGHTS", str(tmp_path))
    (tmp_path / "resnet18-f37072fd.pth").write_bytes(b"cut")
    config = BackboneConfig(name="resnet18")
    with pytest.raises(ValueError, match=r"resnet18-f37072fd\.pth: expected a file whose SHA-256 begins with f37072fd"):
        load_backbone_weights(config.build(), config)


def test_mismatching_file_changes_nothing(published: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save({**published, "layer4.1.bn2.bias": torch.zeros(7)}, tmp_path / "odd.pth")
    config = BackboneConfig(name="resnet18", weights=str(tmp_path / "odd.pth"))
    backbone = config.build()
    before = backbone.conv1.weight.clone()
    with pytest.raises(ValueError, match=r"odd\.pth: layer4\.1\.bn2\.bias: expected shape \(512,\) for resnet18, got \(7,\)"):
        load_backbone_weights(backbone, config)
    assert torch.equal(backbone.conv1.weight, before)


def test_frozen_stages_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    config = BackboneConfig(name="resnet18", weights=None, frozen_stages=2)
    with caplog.at_level(logging.INFO, "detkit"):
        load_backbone_weights(config.build(), config)
    assert "resnet18: 2 of 5 stages are frozen (conv1, bn1, relu, maxpool, layer1): 0.2 of 11.2 M parameters" in caplog.text
