from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from detkit.backbones import BackboneConfig
from detkit.heads.class_layout import ClassLayout
from detkit.heads.region.layers import TwoFCConfig
from detkit.models.faster_rcnn import FasterRCNN, FasterRCNNConfig
from detkit.models.loading.transfer import _copy_rows, transfer
from detkit.models.rcnn import RCNN, RCNNConfig
from detkit.necks import FPNConfig


def build(num_classes: int, seed: int = 0, depth: int = 1) -> FasterRCNN:
    torch.manual_seed(seed)
    config = FasterRCNNConfig(backbone=BackboneConfig(name="resnet18", weights=None), neck=FPNConfig(out_channels=16))
    region = config.region.replace(head=TwoFCConfig(hidden=8), pool_size=2)
    return config.replace(region=region, rpn=config.rpn.replace(depth=depth)).build(num_classes)


OLD, NEW = ("cat", None, "dog", "cup"), ("bird", "cup", "cat")


def test_class_rows_are_copied_by_name() -> None:
    old, model = build(4, 1), build(3, 2)
    fresh = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    report = transfer(model, NEW, old.state_dict(), OLD)
    own, other = model.region.predictor, old.region.predictor
    assert_close(own.logits.weight[[2, 1, 3]], other.logits.weight[[0, 3, 4]])
    assert_close(own.deltas.bias[4:12], other.deltas.bias[[12, 13, 14, 15, 0, 1, 2, 3]])
    assert_close(own.logits.weight[0], fresh["region.predictor.logits.weight"][0])
    assert_close(model.neck.backbone.conv1.weight, old.neck.backbone.conv1.weight)
    assert (report.classes_copied, report.classes_reset, report.classes_unused) == (("cup", "cat"), ("bird",), ("dog",))
    assert (report.reset, report.unused) == ((), ())
    assert set(report.copied_by_class) == set(model.class_layout())


def test_same_classes_copy_everything() -> None:
    old, model = build(3, 1), build(3, 2)
    report = transfer(model, NEW, old.state_dict(), NEW)
    for name, tensor in model.state_dict().items():
        assert_close(tensor, old.state_dict()[name])
    assert len(report.copied) + len(report.copied_by_class) == len(model.state_dict())


def test_missing_and_unused_tensors_are_reported() -> None:
    old, model = build(3, 1), build(3, 2)
    tensors = {name: tensor for name, tensor in old.state_dict().items() if not name.startswith("rpn.")} | {"mask.weight": torch.zeros(1)}
    report = transfer(model, NEW, tensors, NEW)
    assert report.unused == ("mask.weight",)
    assert all(name.startswith("rpn.") for name in report.reset)
    assert "rpn.head.logits.weight" in report.reset
    lines = report.summary()
    assert [line.partition(":")[0] for line in lines] == ["copied", "reset", "unused"]
    assert "mask.weight" in lines[2]
    assert "classes: 3 (bird, cup, cat)" in lines[0]


def test_shape_mismatch_is_an_error_and_changes_nothing() -> None:
    old, model = build(3, 1), build(3, 2)
    tensors = old.state_dict()
    tensors["neck.layer_blocks.3.0.weight"] = torch.zeros(8, 16, 3, 3)
    initial = model.neck.backbone.conv1.weight.clone()
    with pytest.raises(ValueError, match=r"neck.layer_blocks.3.0.weight: expected shape \(16, 16, 3, 3\), got \(8, 16, 3, 3\); the models"):
        transfer(model, NEW, tensors, NEW)
    with pytest.raises(ValueError, match=r"region.predictor.logits.weight: expected shape \(5, 8\) for 4 classes, got \(4, 8\)"):
        transfer(model, NEW, old.state_dict(), OLD)
    with pytest.raises(ValueError, match="got none with a known name"):
        transfer(model, NEW, {"model.0.weight": torch.zeros(3)}, NEW)
    assert torch.equal(model.neck.backbone.conv1.weight, initial)


def test_copy_rows_with_groups_and_shared_rows() -> None:
    layout = ClassLayout(groups=2, per_class=2, before=1, after=1)
    assert layout.rows(3) == 16
    own, other = torch.zeros(16), torch.arange(1.0, 13.0)
    _copy_rows(own, other, layout, [(2, 0)])
    assert own.tolist() == [1, 0, 0, 0, 0, 2, 3, 6, 7, 0, 0, 0, 0, 8, 9, 12]


def fitted_rcnn(num_classes: int, value: float) -> RCNN:
    config = RCNNConfig(backbone=BackboneConfig(name="lenet5", weights=None, levels=("c2",)), warp_size=32, context_pixels=0)
    model = config.replace(region=config.region.replace(head=TwoFCConfig(hidden=4), pool_size=1)).build(num_classes)
    fitted = model.region.fitted
    for parameter in fitted.parameters():
        torch.nn.init.constant_(parameter, value)
    fitted.has_svm.fill_(bool(value))
    fitted.has_boxes.fill_(bool(value))
    return model


@pytest.mark.parametrize(("classes", "copied"), [(("bird", "cup", "cat"), False), (("dog", "cup"), True)])
def test_fitted_layers_are_copied_whole_or_not_at_all(classes: tuple[str, ...], copied: bool) -> None:
    old, model = fitted_rcnn(4, 2.0), fitted_rcnn(len(classes), 0.0)
    report = transfer(model, classes, old.state_dict(), OLD)
    fitted = model.region.fitted
    assert bool(fitted.has_svm) == bool(fitted.has_boxes) == copied
    assert {float(parameter.detach().unique()) for parameter in fitted.parameters()} == {2.0 if copied else 0.0}
    names = {name for name in model.state_dict() if name.startswith("region.fitted.")}
    assert set(report.to_fit) == (set() if copied else names)
    assert names.isdisjoint(report.copied + report.copied_by_class) != copied
    lines = [line for line in report.summary() if line.startswith("to be fitted to the new classes: 6 tensors (region.fitted.")]
    assert len(lines) == (not copied)
    assert_close(model.region.head.fc6.weight, old.region.head.fc6.weight)
