"""A detector of ours in torchvision's class, round the same backbone and pyramid: it detects the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conditioning import assert_conditioned, assert_same_detections, fit_norms, spread_all
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN

from detkit.backbones import BackboneConfig
from detkit.data.images import read_image
from detkit.data.sources import SourceConfig, read_source
from detkit.models.faster_rcnn import FasterRCNN as OurFasterRCNN
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.models.published.torchvision_faster_rcnn import convert
from detkit.preprocess import PreprocessConfig, preprocess
from detkit.structures import Targets


class OurMaps(nn.Module):
    """Our neck as the backbone that torchvision's class asks for."""

    def __init__(self, neck: nn.Module) -> None:
        super().__init__()
        self.neck, self.out_channels = neck, 256

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return dict(zip(("0", "1", "2", "3", "pool"), self.neck(images), strict=True))


def to_torchvision(model: OurFasterRCNN) -> FasterRCNN:
    """Torchvision's class round our own maps, with our heads' numbers under its names."""
    mean, std = model.mean.flatten().tolist(), model.std.flatten().tolist()
    theirs = FasterRCNN(OurMaps(model.neck), model.num_classes + 1, rpn_post_nms_top_n_test=200, image_mean=mean, image_std=std).eval()
    theirs.transform.resize = lambda image, target: (image, target)
    names = {ours: name for name in theirs.state_dict() if not name.startswith("backbone.") for ours in convert({name: torch.zeros(4)})}
    for name, tensor in model.state_dict().items():
        if name in names:
            if name.startswith("region.predictor.logits."):
                tensor = torch.roll(tensor, 1, 0)
            elif name.startswith("region.predictor.deltas."):
                tensor = torch.cat((torch.zeros_like(tensor[:4]), tensor))
            theirs.get_parameter(names[name]).data.copy_(tensor)
    return theirs


@torch.no_grad()
def test_a_detector_of_ours_in_torchvisions_class(photographs: list[Tensor]) -> None:
    torch.manual_seed(0)
    config = FasterRCNNConfig(backbone=BackboneConfig(name="efficientnet_lite0", weights=None))
    model = config.replace(rpn=config.rpn.replace(max_proposals=200)).build(12).eval()
    images = photographs[:2]

    def run() -> object:
        return model(images)

    fit_norms(model, run)
    spread_all({model.rpn.head.logits: 2.0, model.rpn.head.deltas: 0.3}, run)
    spread_all({model.region.predictor.logits: 3.0, model.region.predictor.deltas: 1.0}, run)
    theirs = to_torchvision(model)
    expected = [found | {"labels": found["labels"] - 1} for found in theirs(images)]
    assert_conditioned(expected)
    assert_same_detections(model(images), expected, nms_iou=0.5)


def micrographs(folder: Path, split: str, count: int, config: PreprocessConfig) -> tuple[list[Tensor], list[Targets]]:
    """Blood cells, resized: images and what they show."""
    images, targets = [], []
    for record in read_source(SourceConfig(path=str(folder), split=split)).records[:count]:
        image = preprocess(read_image(record.path), config).image
        images.append(image)
        targets.append(record.targets.resized(record.size, (image.shape[1], image.shape[2])))
    return images, targets


@pytest.mark.slow
def test_a_detector_trained_on_blood_cells_in_torchvisions_class(shared: Path) -> None:
    torch.manual_seed(0)
    numbers = FasterRCNNConfig()
    config = FasterRCNNConfig(
        backbone=BackboneConfig(name="efficientnet_lite0"),
        preprocess=PreprocessConfig(short_side=240, long_side=320),
        rpn=numbers.rpn.replace(max_proposals=200),
        region=numbers.region.replace(samples_per_image=128),
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
        expected = [found | {"labels": found["labels"] - 1} for found in to_torchvision(model)(unseen)]
        assert sum(len(found["labels"]) for found in expected) > 50
        assert_same_detections(model(unseen), expected, nms_iou=0.5)
