"""Torchvision's Faster R-CNN with detkit's backbone, FPN and weights detects the same as detkit's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conditioning import assert_conditioned, assert_same_detections, fit_norms, spread_all
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN

from detkit.backbones import BackboneConfig
from detkit.data.media.images import read_image
from detkit.data.sources import SourceConfig, read_source
from detkit.models.faster_rcnn import FasterRCNN as DetkitFasterRCNN
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.models.published.torchvision_faster_rcnn import convert
from detkit.preprocess import PreprocessConfig, preprocess
from detkit.structures import Targets

pytestmark = pytest.mark.slow  # a network of the published size


class NeckAsBackbone(nn.Module):
    """A neck of detkit with the interface of a backbone of torchvision."""

    def __init__(self, neck: nn.Module) -> None:
        super().__init__()
        self.neck, self.out_channels = neck, 256

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return dict(zip(("0", "1", "2", "3", "pool"), self.neck(images), strict=True))


def to_torchvision(model: DetkitFasterRCNN) -> FasterRCNN:
    """Build torchvision's model on the maps of detkit's neck, with the weights of detkit's heads."""
    mean, std = model.mean.flatten().tolist(), model.std.flatten().tolist()
    reference = FasterRCNN(
        NeckAsBackbone(model.neck), model.num_classes + 1, rpn_post_nms_top_n_test=200, image_mean=mean, image_std=std
    ).eval()
    reference.transform.resize = lambda image, target: (image, target)
    names = {own: name for name in reference.state_dict() if not name.startswith("backbone.") for own in convert({name: torch.zeros(4)})}
    for name, tensor in model.state_dict().items():
        if name in names:
            if name.startswith("region.predictor.logits."):
                tensor = torch.roll(tensor, 1, 0)
            elif name.startswith("region.predictor.deltas."):
                tensor = torch.cat((torch.zeros_like(tensor[:4]), tensor))
            reference.get_parameter(names[name]).data.copy_(tensor)
    return reference


@pytest.mark.oracle(
    "torchvision", "detkit's weights in torchvision's Faster R-CNN class", tolerance="boxes 1e-3 px, scores 1e-5, same labels"
)
@torch.no_grad()
def test_a_conditioned_detector_in_torchvisions_class(photographs: list[Tensor]) -> None:
    torch.manual_seed(0)
    config = FasterRCNNConfig(backbone=BackboneConfig(name="efficientnet_lite0", weights=None))
    model = config.replace(rpn=config.rpn.replace(max_proposals=200)).build(12).eval()
    images = photographs[:2]

    def run() -> object:
        return model(images)

    fit_norms(model, run)
    spread_all({model.rpn.head.logits: 2.0, model.rpn.head.deltas: 0.3}, run)
    spread_all({model.region.predictor.logits: 3.0, model.region.predictor.deltas: 1.0}, run)
    reference = to_torchvision(model)
    expected = [rows | {"labels": rows["labels"] - 1} for rows in reference(images)]
    assert_conditioned(expected)
    assert_same_detections(model(images), expected, nms_iou=0.5)


def micrographs(folder: Path, split: str, count: int, config: PreprocessConfig) -> tuple[list[Tensor], list[Targets]]:
    """Resized images of blood cells, and their targets."""
    images, targets = [], []
    for record in read_source(SourceConfig(path=str(folder), split=split)).records[:count]:
        image = preprocess(read_image(record.path), config).image
        images.append(image)
        targets.append(record.targets.resized(record.size, (image.shape[1], image.shape[2])))
    return images, targets


@pytest.mark.oracle(
    "torchvision", "a detector trained by detkit in torchvision's class", tolerance="boxes 1e-3 px, scores 1e-5, same labels"
)
@pytest.mark.slow
def test_a_detector_trained_on_blood_cells_in_torchvisions_class(shared: Path) -> None:
    torch.manual_seed(0)
    defaults = FasterRCNNConfig()
    config = FasterRCNNConfig(
        backbone=BackboneConfig(name="efficientnet_lite0"),
        preprocess=PreprocessConfig(short_side=240, long_side=320),
        rpn=defaults.rpn.replace(max_proposals=200),
        region=defaults.region.replace(samples_per_image=128),
    )
    model = config.build(3)
    config.load_pretrained(model)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.005, momentum=0.9)
    images, targets = micrographs(shared / "data" / "bccd", "train", 30, config.preprocess)
    model.train()
    for step in range(0, len(images), 2):
        optimizer.zero_grad()
        sum(model(images[step : step + 2], targets[step : step + 2], seeds=[step, step + 1]).values()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    model.eval()
    unseen, _ = micrographs(shared / "data" / "bccd", "test", 8, config.preprocess)
    with torch.no_grad():
        expected = [rows | {"labels": rows["labels"] - 1} for rows in to_torchvision(model)(unseen)]
        assert sum(len(rows["labels"]) for rows in expected) > 50
        assert_same_detections(model(unseen), expected, nms_iou=0.5)
