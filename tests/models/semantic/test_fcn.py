"""FCN: stride 8, the auxiliary head, and the skips of the paper."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.models import resnet50
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.segmentation.fcn import FCN as TorchvisionFCN
from torchvision.models.segmentation.fcn import FCNHead as TorchvisionHead

from detkit.backbones import BackboneConfig
from detkit.models.published.torchvision_fcn import VOC_CLASSES, convert, resnet50_voc
from detkit.models.semantic.fcn import FCN, FCNConfig
from detkit.preprocess import PreprocessConfig
from detkit.structures import Masks, Targets

TINY = BackboneConfig(name="shufflenet_v2_x0_5", weights=None, levels=("c3", "c4", "c5"))


def targets() -> Targets:
    masks = Masks.of([(np.ones((20, 10), np.bool_), 1, 2)])
    return Targets.of(torch.tensor([[1.0, 2, 11, 22]]), torch.tensor([1])).replace(masks=masks)


def test_published_files_load_strictly_and_give_torchvisions_logits() -> None:
    torch.manual_seed(0)
    body = resnet50(weights=None, replace_stride_with_dilation=[False, True, True])
    layers = IntermediateLayerGetter(body, {"layer4": "out", "layer3": "aux"})
    reference = TorchvisionFCN(layers, TorchvisionHead(2048, 21), TorchvisionHead(1024, 21)).eval()
    publication = resnet50_voc()
    assert publication.class_names == VOC_CLASSES
    ours = publication.config.build(20).eval()
    assert isinstance(ours, FCN)
    ours.load_state_dict(convert(reference.state_dict()))
    assert ours.neck.strides == (8, 8)
    image = torch.rand(1, 3, 96, 128)
    with torch.no_grad():
        batch = ours.prepare([image])
        expected = reference(batch.images)
        logits, auxiliary = ours.raw(batch, targets=[targets()])
    for actual, name in ((logits, "out"), (auxiliary, "aux")):
        torch.testing.assert_close(actual.roll(1, 1), expected[name], rtol=1e-4, atol=1e-4)


def test_the_auxiliary_head_is_for_training_only() -> None:
    torch.manual_seed(0)
    config = FCNConfig(backbone=TINY, preprocess=PreprocessConfig(), auxiliary_weight=0.5)
    model, image = config.build(2), torch.rand(3, 64, 64)
    losses = model([image], [targets()])
    assert set(losses) == {"cross_entropy", "auxiliary_cross_entropy"}
    batch = model.prepare([image])
    logits = model.raw(batch, targets=[targets()])
    assert len(logits) == 2
    assert len(model.raw(batch)) == 1
    labels = model.label_maps(batch, [targets()])
    expected = functional.cross_entropy(logits[1], labels, ignore_index=255)
    torch.testing.assert_close(model.loss(logits, batch, [targets()])["auxiliary_cross_entropy"], expected / 2)
    losses["auxiliary_cross_entropy"].backward()
    assert model.auxiliary is not None
    assert model.auxiliary.logits.weight.grad is not None


def bilinear(values: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(values, size=like.shape[-2:], mode="bilinear", align_corners=False)


def test_skips_add_the_logits_of_finer_maps() -> None:
    torch.manual_seed(0)
    config = FCNConfig(backbone=TINY, preprocess=PreprocessConfig(), head="skips")
    model = config.build(2).eval()
    assert model.neck.strides == (8, 16, 32)
    maps = model.neck(torch.rand(1, 3, 64, 96))
    with torch.no_grad():
        start = model.head(maps)
        coarse = model.head.logits[2](maps[2])
        torch.testing.assert_close(start, bilinear(bilinear(coarse, maps[1]), maps[0]))  # finer maps begin at 0
        for layer in model.head.logits:
            torch.nn.init.normal_(layer.weight)
        eighth, sixteenth, coarse = (layer(values) for layer, values in zip(model.head.logits, maps, strict=True))
        expected = eighth + bilinear(sixteenth + bilinear(coarse, sixteenth), eighth)
        torch.testing.assert_close(model.head(maps), expected)
    assert set(model.class_layout()) == {f"head.logits.{index}.{part}" for index in range(3) for part in ("weight", "bias")}


@pytest.mark.parametrize(
    ("options", "message"), [({"head": "skips"}, "head=skips adds"), ({"auxiliary_weight": 0.5}, "needs a map before")]
)
def test_too_few_levels_are_an_error(options: dict[str, object], message: str) -> None:
    config = FCNConfig(backbone=TINY.replace(levels=("c5",)), preprocess=PreprocessConfig(), **options)
    with pytest.raises(ValueError, match=message):
        config.build(2)
