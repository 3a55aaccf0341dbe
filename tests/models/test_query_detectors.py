"""Presets and published weights of RT-DETR and D-FINE: sizes, catalog, commands, and fine-tuning on other classes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from skimage import data
from skimage.io import imsave
from torch.testing import assert_close

from detkit.cli.main import main
from detkit.models import presets
from detkit.models.loading.transfer import transfer
from detkit.models.published import PUBLISHED, publication
from detkit.models.published.conversion import COCO_CLASSES
from detkit.models.published.objects365 import OBJECTS365_CLASSES
from detkit.weights import catalog, find

PLAIN = ("dfine_n",)
ORIGINAL = (
    (r"^head\.selection\.", "decoder."),
    (r"^head\.(layers|lqe_layers)\.", r"decoder.decoder.\1."),
    (r"^head\.", "decoder."),
    (r"^neck\.backbone\.trunk\.", "backbone.stages."),
    (r"^neck\.backbone\.", "backbone."),
    (r"^neck\.", "encoder."),
)
"""From detkit's names to those of D-FINE's repository."""
ENTRIES = [entry for entry in catalog() if entry.name.startswith(("rtdetr_", "dfine_"))]
CASES = [entry.name if entry.name in PLAIN else pytest.param(entry.name, marks=pytest.mark.slow) for entry in ENTRIES]


def test_every_entry_has_its_publication() -> None:
    assert {entry.name for entry in ENTRIES} == {name for name in PUBLISHED.names() if name.startswith(("rtdetr_", "dfine_"))}
    assert len({entry.file_name for entry in ENTRIES}) == len({entry.url for entry in ENTRIES}) == len(ENTRIES) == 24
    for entry in ENTRIES:
        config = publication(entry.name).config
        assert config == getattr(presets, entry.model)().replace(backbone=config.backbone)
        assert config.backbone.weights is None
        assert config.backbone.normalization == "none"


@pytest.mark.parametrize("name", CASES)
def test_number_of_parameters(name: str) -> None:
    source, entry = publication(name), find(name)
    with torch.device("meta"):
        detector = source.config.build(len(source.class_names))
    assert sum(parameter.numel() for parameter in detector.parameters()) == entry.parameters


def test_classes() -> None:
    """Objects365 is numbered from 1, and the files have a row 0 that stands for nothing."""
    assert publication("dfine_n").class_names == publication("dfine_s_obj2coco").class_names == COCO_CLASSES
    names = publication("dfine_s_obj365").class_names
    assert (len(names), names[0], names[1], names[47], names[365]) == (366, None, "Person", "Bicycle", "Table Tennis")
    assert len(set(OBJECTS365_CLASSES)) == 365


def test_licenses_say_what_objects365_allows() -> None:
    for entry in ENTRIES:
        assert ("academic" in entry.license) == ("obj" in entry.name) == ("Objects365" in entry.training_data)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of D-FINE-N under the original names."""
    torch.manual_seed(0)
    source = publication("dfine_n")
    path = tmp_path_factory.mktemp("published") / "dfine_n_coco.pth"
    tensors = {}
    for name, tensor in source.config.build(80).state_dict().items():
        for pattern, replacement in ORIGINAL:
            name = re.sub(pattern, replacement, name)
        tensors[name] = tensor
    tensors["decoder.dec_score_head.2.bias"] = torch.linspace(-1, 1, 80)
    torch.save({"model": tensors, "ema": {"module": tensors, "updates": 1}}, path)
    return path


def test_commands(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["models", "list", "dfine"]) == 0
    assert "dfine_x_obj2coco" in capsys.readouterr().out
    checkpoint = tmp_path / "dfine_n.safetensors"
    assert main(["models", "import", str(file), "--model", "dfine_n", "--output", str(checkpoint)]) == 0
    assert "dfine_n with 80 classes" in capsys.readouterr().out
    imsave(tmp_path / "cat.png", data.chelsea())
    assert main(["detect", str(tmp_path / "cat.png"), "--model", str(checkpoint), "--min-score", "0.5"]) == 0
    assert "300 detections" in capsys.readouterr().out


def test_fine_tuning_keeps_the_rows_of_known_classes(file: Path) -> None:
    source = publication("dfine_n")
    tensors = source.convert(torch.load(file, weights_only=True)["model"])
    classes = ("apple", "lichen", "person")
    torch.manual_seed(1)
    model = source.config.build(len(classes))
    fresh = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    report = transfer(model, classes, tensors, source.class_names)
    assert (report.classes_copied, report.classes_reset) == (("apple", "person"), ("lichen",))
    assert (report.reset, report.unused) == ((), ())
    rows = [COCO_CLASSES.index("apple"), COCO_CLASSES.index("person")]
    by_class = [f"head.dec_score_head.{index}.{part}" for index in range(3) for part in ("weight", "bias")]
    by_class += ["head.selection.enc_score_head.weight", "head.selection.enc_score_head.bias", "head.denoising_class_embed.weight"]
    assert set(report.copied_by_class) == set(by_class)
    for name in by_class:
        own = model.state_dict()[name]
        assert_close(own[[0, 2]], tensors[name][rows])
        assert_close(own[1], fresh[name][1])
    # The last embedding stands for copies of nothing.
    assert_close(model.head.denoising_class_embed.weight[3], tensors["head.denoising_class_embed.weight"][80])
    assert_close(model.head.layers[0].linear1.weight, tensors["head.layers.0.linear1.weight"])
