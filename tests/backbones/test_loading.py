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
    """The state of torchvision's ResNet-18, seeded, as its files have it."""
    torch.manual_seed(3)
    return models.resnet18().state_dict()


def loaded(path: Path | str, **choices: Any) -> tuple[Any, Any]:
    config = BackboneConfig(name="resnet18", weights=str(path), **choices)
    backbone = config.build()
    return backbone, load_backbone_weights(backbone, config)


@pytest.mark.parametrize("norm", ["frozen", "train"])
@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_a_file_of_the_users(published: dict[str, torch.Tensor], tmp_path: Path, ending: str, norm: str) -> None:
    path = tmp_path / f"mine{ending}"
    save_file(published, path) if ending == ".safetensors" else torch.save(published, path)
    backbone, report = loaded(path, norm=norm)
    assert report.source == path
    assert set(report.left_over) == {"fc.weight", "fc.bias"}
    assert all(torch.equal(value, published[name]) for name, value in backbone.state_dict().items())


@pytest.mark.parametrize("wrapper", ["state_dict", "model"])
def test_wrapped_state_dicts(published: dict[str, torch.Tensor], tmp_path: Path, wrapper: str) -> None:
    torch.save({wrapper: published, "epoch": 3}, tmp_path / "mine.pth")
    backbone, _ = loaded(tmp_path / "mine.pth")
    assert torch.equal(backbone.conv1.weight, published["conv1.weight"])


def test_old_files_have_no_counters(published: dict[str, torch.Tensor], tmp_path: Path) -> None:
    old = {name: value for name, value in published.items() if not name.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "old.pth")
    for norm in ("frozen", "train"):
        backbone, _ = loaded(tmp_path / "old.pth", norm=norm)
        assert torch.equal(backbone.layer4[1].bn2.running_var, published["layer4.1.bn2.running_var"])


def test_what_is_left_over_is_told(published: dict[str, torch.Tensor], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch.save(published, tmp_path / "mine.pth")
    with caplog.at_level(logging.INFO, "detkit"):
        _, report = loaded(tmp_path / "mine.pth", levels=("c4",))
    assert "left over: " in caplog.text
    assert "fc.weight" in caplog.text
    assert "layer4.0.conv1.weight" in report.left_over


def test_frozen_stages_stay_frozen_after_loading(published: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save(published, tmp_path / "mine.pth")
    backbone, _ = loaded(tmp_path / "mine.pth", frozen_stages=2)
    learning = {name.split(".")[0] for name, parameter in backbone.named_parameters() if parameter.requires_grad}
    assert learning == {"layer2", "layer3", "layer4"}


def test_none_is_from_scratch_and_said() -> None:
    config = BackboneConfig(name="resnet18", weights=None)
    backbone = config.build()
    before = backbone.conv1.weight.clone()
    assert load_backbone_weights(backbone, config).source is None
    assert torch.equal(backbone.conv1.weight, before)


def test_default_out_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that the name stands for is found; as it is not what was published, it is refused."""
    monkeypatch.setenv("DETKIT_WEIGHTS", str(tmp_path))
    (tmp_path / "resnet18-f37072fd.pth").write_bytes(b"cut")
    config = BackboneConfig(name="resnet18")
    with pytest.raises(ValueError, match=r"resnet18-f37072fd\.pth: expected a file whose SHA-256 begins with f37072fd"):
        load_backbone_weights(config.build(), config)


def test_a_file_that_does_not_fit_changes_nothing(published: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save({**published, "layer4.1.bn2.bias": torch.zeros(7)}, tmp_path / "odd.pth")
    config = BackboneConfig(name="resnet18", weights=str(tmp_path / "odd.pth"))
    backbone = config.build()
    before = backbone.conv1.weight.clone()
    with pytest.raises(ValueError, match=r"odd\.pth: layer4\.1\.bn2\.bias: expected shape \(512,\) for resnet18, got \(7,\)"):
        load_backbone_weights(backbone, config)
    assert torch.equal(backbone.conv1.weight, before)


def test_what_is_frozen_is_told(caplog: pytest.LogCaptureFixture) -> None:
    config = BackboneConfig(name="resnet18", weights=None, frozen_stages=2)
    with caplog.at_level(logging.INFO, "detkit"):
        load_backbone_weights(config.build(), config)
    assert "resnet18: 2 of 5 stages are frozen (conv1, bn1, relu, maxpool, layer1): 0.2 of 11.2 M parameters" in caplog.text
