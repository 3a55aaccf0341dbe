"""Models for semantic segmentation: losses, predictions, and torchvision's FCN."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional
from torchvision.models import resnet50
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.segmentation.fcn import FCN as TorchvisionFCN
from torchvision.models.segmentation.fcn import FCNHead as TorchvisionHead

from detkit.backbones import BackboneConfig
from detkit.heads.semantic.losses import PixelLossConfig
from detkit.inference import Predictor
from detkit.models.loading.transfer import transfer
from detkit.models.semantic.fcn import FCNConfig
from detkit.models.semantic.segmenter import Segmenter
from detkit.models.semantic.unet import UNetConfig, UNetDecoderConfig
from detkit.preprocess import PreprocessConfig
from detkit.structures import Masks, Targets
from detkit.structures.label_maps import IGNORED, label_map

BACKBONE = BackboneConfig(name="shufflenet_v2_x0_5", weights=None, levels=("c2", "c3", "c4"))
LETTERBOX = PreprocessConfig(rule="letterbox", input_size=(64, 64), pad_side="both")


@pytest.fixture(scope="module")
def config() -> UNetConfig:
    losses = PixelLossConfig(dice_weight=1.0)
    return UNetConfig(backbone=BACKBONE, decoder=UNetDecoderConfig(channels=(8, 8)), preprocess=PreprocessConfig(), losses=losses)


@pytest.fixture(scope="module")
def model(config: UNetConfig) -> Segmenter:
    torch.manual_seed(0)
    return config.build(2)


def square() -> Targets:
    masks = Masks.of([(np.ones((20, 10), np.bool_), 1, 2)])
    return Targets.of(torch.tensor([[1.0, 2, 11, 22]]), torch.tensor([1])).replace(masks=masks)


def test_losses_are_of_the_known_pixels(model: Segmenter) -> None:
    images = [torch.rand(3, 50, 61), torch.rand(3, 40, 33)]
    batch = model.prepare(images)
    labels = model.label_maps(batch, [square(), Targets.empty()])
    assert labels.shape == (2, 64, 64)
    assert torch.bincount(labels.flatten(), minlength=256)[[0, 1, 2, IGNORED]].tolist() == [
        0,
        200,
        3050 - 200 + 1320,
        2 * 4096 - 3050 - 1320,
    ]
    losses = model(images, [square(), Targets.empty()])
    expected = functional.cross_entropy(model.raw(batch)[0], labels, ignore_index=IGNORED)
    torch.testing.assert_close(losses["cross_entropy"], expected)
    assert 0 < losses["dice"].item() < 1


def test_losses_stay_in_the_graph_if_nothing_is_known(config: UNetConfig) -> None:
    model = config.replace(background=False).build(2)
    losses = model([torch.rand(3, 40, 40)], [Targets.empty()])
    assert {name: value.item() for name, value in losses.items()} == {"cross_entropy": 0, "dice": 0}
    sum(losses.values()).backward()
    assert all(weight.grad is not None for weight in model.parameters())


def test_the_predicted_classes_are_those_of_the_interpolated_probabilities(config: UNetConfig) -> None:
    torch.manual_seed(3)
    model = config.replace(preprocess=LETTERBOX).build(2)
    model.input_size = (64, 64)
    model.eval()
    image = torch.randint(0, 256, (3, 90, 50), dtype=torch.uint8)
    predictor = Predictor(model, LETTERBOX, ("one", "two"), "cpu", reference=True)
    prepared = predictor.prepare(image)
    with torch.no_grad():
        batch = model.prepare([prepared.image])
        probabilities = model.raw(batch)[0].softmax(1)
    (y, x), (height, width) = prepared.placement.offset, prepared.placement.content
    content = probabilities[..., y : y + height, x : x + width]
    expected = functional.interpolate(content, size=(90, 50), mode="bilinear", align_corners=False)[0]
    best = expected.sort(0, descending=True).values
    sure = (best[0] - best[1] > 1e-4).numpy()
    detections = predictor(image)
    labels = label_map(detections, (90, 50), fill=2)
    assert sure.mean() > 0.98
    assert np.array_equal(labels[sure], expected.argmax(0).numpy()[sure])
    assert sorted(detections.labels.tolist()) == [label for label in np.unique(labels).tolist() if label < 2]
    assert detections.masks is not None
    torch.testing.assert_close(detections.boxes.numpy(), detections.masks.boxes)
    for row in detections:
        mean = expected[row.label].numpy()[labels == row.label].mean()
        assert row.score == pytest.approx(mean, abs=1e-4)


def test_a_model_without_background_gives_every_pixel_a_class(config: UNetConfig) -> None:
    model = config.replace(background=False).build(3)
    detections = Predictor(model, PreprocessConfig(short_side=64), ("a", "b", "c"), "cpu")(torch.rand(3, 70, 91))
    assert not (label_map(detections, (70, 91), fill=IGNORED) == IGNORED).any()


def test_an_image_of_background_has_no_regions(config: UNetConfig) -> None:
    model = config.build(2)
    with torch.no_grad():
        model.head.logits.bias.copy_(torch.tensor([0.0, 0.0, 100.0]))
    detections = Predictor(model, PreprocessConfig(short_side=64), ("a", "b"), "cpu")(torch.rand(3, 70, 91))
    assert len(detections) == 0
    assert (label_map(detections, (70, 91), fill=2) == 2).all()


def test_weights_are_transferred_class_by_class(config: UNetConfig) -> None:
    one, two = config.build(2), config.build(3)
    transfer(two, ("b", "c", "a"), one.state_dict(), ("a", "b"))
    torch.testing.assert_close(two.head.logits.weight[[2, 0, 3]], one.head.logits.weight[[0, 1, 2]])


def test_too_many_classes_are_an_error(config: UNetConfig) -> None:
    with pytest.raises(ValueError, match="expected up to 254 classes, got 255"):
        config.build(255)


def test_objects_without_any_masks_are_an_error(model: Segmenter) -> None:
    with pytest.raises(ValueError, match="expected masks of the objects, got 1 boxes without"):
        model([torch.rand(3, 40, 40)], [square().replace(masks=None)])


@pytest.mark.oracle("torchvision", "logits of FCN", tolerance="1e-5")
@pytest.mark.slow
def test_fcn_equals_torchvisions() -> None:
    torch.manual_seed(0)
    body = resnet50(weights=None, replace_stride_with_dilation=[False, False, True])
    reference = TorchvisionFCN(IntermediateLayerGetter(body, {"layer4": "out"}), TorchvisionHead(2048, 6)).eval()
    model = FCNConfig(
        backbone=BackboneConfig(name="resnet50", weights=None, levels=("c5",), dilated_c5=True), preprocess=PreprocessConfig()
    )
    ours = model.build(5).eval()
    states = {name: value for name, value in reference.state_dict().items() if "num_batches" not in name}
    own = {name: value for name, value in ours.state_dict().items() if "num_batches" not in name}
    ours.load_state_dict(dict(zip(own, states.values(), strict=True)), strict=False)
    image = torch.rand(1, 3, 128, 160)
    with torch.no_grad():
        expected = reference(image)["out"]
        logits = ours.head(ours.neck(image)[-1])
        torch.testing.assert_close(functional.interpolate(logits, size=(128, 160), mode="bilinear", align_corners=False), expected)
