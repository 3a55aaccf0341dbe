from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from detkit.backbones import BackboneConfig
from detkit.models import presets
from detkit.models.faster_rcnn import FasterRCNN, FasterRCNNConfig
from detkit.models.published import PUBLISHED, publication
from detkit.models.published.conversion import COCO_CLASSES, COCO_SLOTS
from detkit.structures import Targets


@pytest.fixture(scope="module")
def detector() -> FasterRCNN:
    return FasterRCNNConfig(backbone=BackboneConfig(name="resnet18", weights=None)).build(2).eval()


@pytest.mark.oracle("torchvision", "normalization and padding of batches", tolerance="1e-5")
def test_normalization_and_padding_match_torchvision(detector: FasterRCNN) -> None:
    images = [torch.rand(3, 50, 70), torch.rand(3, 61, 40)]
    mean, std = detector.backbone.mean, detector.backbone.std
    reference = GeneralizedRCNNTransform(1, 1, mean, std)
    expected = reference.batch_images([reference.normalize(image) for image in images])
    batch = detector.prepare(images, [3, 4])
    assert_close(batch.images, expected)
    assert (batch.sizes, batch.seeds, batch.padded_size) == (((50, 70), (61, 40)), (3, 4), (64, 96))


def test_raw_has_every_anchor_and_every_map(detector: FasterRCNN) -> None:
    with torch.no_grad():
        logits, deltas, *maps = detector.raw(detector.prepare([torch.rand(3, 64, 96)]))
    cells = [16 * 24, 8 * 12, 4 * 6, 2 * 3, 1 * 2]
    assert [m.shape[-2] * m.shape[-1] for m in maps] == cells
    assert (logits.shape, deltas.shape) == ((1, 3 * sum(cells)), (1, 3 * sum(cells), 4))


def test_only_the_rpn_uses_the_extra_level(detector: FasterRCNN) -> None:
    assert detector.region.strides == (4, 8, 16, 32)


def test_region_losses_do_not_reach_the_rpn(detector: FasterRCNN) -> None:
    detector.zero_grad()
    losses = detector([torch.rand(3, 64, 64)], [Targets.of(torch.tensor([[5.0, 5.0, 40.0, 40.0]]), torch.tensor([1]))])
    (losses["region_class"] + losses["region_box"]).backward()
    assert all(parameter.grad is None for parameter in detector.rpn.parameters())


@pytest.mark.parametrize("name", ["fasterrcnn_resnet50_c4", "fasterrcnn_resnet50_fpn_v2", "fasterrcnn_mobilenet_v3_large_320_fpn"])
def test_presets_build_and_run(name: str) -> None:
    config = getattr(presets, name)()
    config = config.replace(backbone=config.backbone.replace(weights=None), rpn=config.rpn.replace(max_proposals=5))
    if name.endswith("c4"):
        config = config.replace(region=config.region.replace(head=config.region.head.replace(hidden=8)))
    assert FasterRCNNConfig.from_json(config.to_json()) == config
    detector = config.build(2).eval()
    with torch.no_grad():
        assert len(detector([torch.rand(3, 64, 96)])) == 1


def test_single_level_trains() -> None:
    config = presets.fasterrcnn_resnet50_c4()
    region = config.region.replace(samples_per_image=8, head=config.region.head.replace(hidden=8))
    config = config.replace(backbone=BackboneConfig(name="resnet18", weights=None, levels=("c4",)), region=region)
    detector = config.build(2)
    losses = detector([torch.rand(3, 64, 96)], [Targets.of(torch.tensor([[5.0, 5.0, 40.0, 40.0]]), torch.tensor([1]))])
    sum(losses.values()).backward()
    assert detector.backbone.conv1.weight.grad.abs().sum() > 0


def test_parameter_counts_match_torchvision() -> None:
    """Compare with the counts in torchvision's metadata, minus the unused box, mask and sigmoids of its class 0, background."""
    region_box, mask, sigmoid = 4 * 1024 + 4, 256 + 1, 9 * 256 + 1
    counts = {
        "fasterrcnn_resnet50_fpn": (41755286, region_box),
        "fasterrcnn_resnet50_fpn_v2": (43712278, region_box),
        "fasterrcnn_mobilenet_v3_large_fpn": (19386354, region_box),
        "fasterrcnn_mobilenet_v3_large_320_fpn": (19386354, region_box),
        "maskrcnn_resnet50_fpn": (44401393, region_box + mask),
        "maskrcnn_resnet50_fpn_v2": (46359409, region_box + mask),
        "retinanet_resnet50_fpn": (34014999, 9 * sigmoid),
        "retinanet_resnet50_fpn_v2": (38198935, 9 * sigmoid),
        "fcos_resnet50_fpn": (32269600, sigmoid),
    }
    assert set(counts) <= set(PUBLISHED.names())
    for name, (count, unused) in counts.items():
        source = publication(name)
        with torch.device("meta"):
            detector = source.config.build(len(source.class_names))
        assert sum(parameter.numel() for parameter in detector.parameters()) == count - unused, name


@pytest.mark.oracle("torchvision", "class names of COCO's 90 slots", tolerance="equal")
def test_coco_slots_match_torchvision() -> None:
    from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

    categories = FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
    assert [name or "N/A" for name in COCO_SLOTS] == categories[1:]
    assert (len(COCO_SLOTS), len(COCO_CLASSES)) == (90, 80)


def test_load_pretrained_loads_the_backbone() -> None:
    config = FasterRCNNConfig(backbone=BackboneConfig(name="efficientnet_lite0"))
    detector = config.build(2)
    initial = next(detector.backbone.parameters()).clone()
    config.load_pretrained(detector)
    assert not torch.equal(next(detector.backbone.parameters()), initial)
    frozen = [name for name, parameter in detector.named_parameters() if not parameter.requires_grad]
    assert frozen
    assert all(name.startswith("neck.backbone.") for name in frozen)
