from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from detkit.backbones import BackboneConfig
from detkit.data.augment import AnnotatedImage, AugmentationConfig, Augmenter
from detkit.heads.region.layers import TwoFCConfig
from detkit.inference import Predictor
from detkit.inference.optimize import with_low_ranks
from detkit.models.fast_rcnn import FastRCNN, FastRCNNConfig
from detkit.models.rcnn import RCNNConfig
from detkit.models.sppnet import FIVE_SCALES
from detkit.necks import FPNConfig
from detkit.ops.match import BACKGROUND, IGNORE, match_by_iou
from detkit.preprocess import PreprocessConfig
from detkit.structures import Proposals, Targets


def small() -> FastRCNNConfig:
    config = FastRCNNConfig(backbone=BackboneConfig(name="resnet18", weights=None, levels=("c4",)))
    return config.replace(region=config.region.replace(head=TwoFCConfig(hidden=16), pool_size=3))


@pytest.fixture(scope="module")
def detector() -> FastRCNN:
    torch.manual_seed(0)
    return small().build(2).eval()


def boxes(*rows: tuple[float, float, float, float]) -> Proposals:
    return Proposals(torch.tensor(rows).reshape(-1, 4), torch.ones(len(rows)))


def test_easy_background_is_ignored() -> None:
    truth = Targets.of(torch.tensor([[0.0, 0.0, 10.0, 10.0]]), torch.tensor([0]))
    rows = torch.tensor([[0.0, 0.0, 10.0, 9.0], [0.0, 0.0, 10.0, 3.0], [0.0, 0.0, 10.0, 0.5], [50.0, 50.0, 60.0, 60.0]])
    numbers = {"positive_iou": 0.5, "negative_iou": 0.5, "min_negative_iou": 0.1}
    assert match_by_iou(rows, truth, **numbers).tolist() == [0, BACKGROUND, IGNORE, IGNORE]
    assert match_by_iou(rows, Targets.empty(), **numbers).tolist() == [BACKGROUND] * 4


def test_proposals_are_required(detector: FastRCNN) -> None:
    with pytest.raises(ValueError, match="proposals: expected proposals for 1 images, got none"):
        detector([torch.rand(3, 32, 32)])


@torch.no_grad()
def test_no_proposals_and_no_objects(detector: FastRCNN) -> None:
    (detections,) = detector([torch.rand(3, 32, 32)], proposals=[Proposals.empty()])
    assert len(detections) == 0


def test_empty_batch_reaches_every_parameter() -> None:
    detector = small().build(2).train()
    losses = detector([torch.rand(3, 40, 40)] * 2, [Targets.empty()] * 2, [Proposals.empty()] * 2)
    sum(losses.values()).backward()
    assert all(parameter.grad is not None for parameter in detector.parameters() if parameter.requires_grad)


@torch.no_grad()
def test_proposals_are_resized_to_the_model_input(detector: FastRCNN) -> None:
    calls = []

    def proposer(image: np.ndarray) -> Proposals:
        calls.append(image)
        return boxes((2.0, 4.0, 20.0, 24.0))

    predictor = Predictor(detector, PreprocessConfig(short_side=80, long_side=400), ("a", "b"), "cpu", "fp32", proposer=proposer)
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    prepared = predictor.prepare(image)
    assert_close(prepared.proposals.boxes, torch.tensor([[4.0, 8.0, 40.0, 48.0]]))
    np.testing.assert_array_equal(calls[0], image)
    predictor.prepare(torch.from_numpy(image).permute(2, 0, 1) / 255)
    np.testing.assert_array_equal(calls[1], image)
    assert len(predictor(np.zeros((1, 1, 3), np.uint8)).checked(2)) >= 0


def test_proposals_are_flipped_cropped_and_resized_with_the_image() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    proposals = boxes((0.0, 0.0, 6.0, 40.0), (50.0, 0.0, 60.0, 20.0))
    image = AnnotatedImage(pixels, Targets.empty(), proposals)
    flip = Augmenter(AugmentationConfig(flip=1.0), PreprocessConfig(short_side=80, long_side=800))
    augmented = flip(image, np.random.default_rng(0))
    assert_close(augmented.proposals.boxes, torch.tensor([[108.0, 0.0, 120.0, 80.0], [0.0, 0.0, 20.0, 40.0]]))
    crop = Augmenter(AugmentationConfig(preset="ssd"), PreprocessConfig(rule="fixed", input_size=(40, 60)))
    counts = set()
    for seed in range(30):
        augmented = crop(image, np.random.default_rng(seed))
        augmented.proposals.checked()
        assert (augmented.proposals.boxes <= torch.tensor([60.0, 40.0, 60.0, 40.0]) + 1e-4).all()  # rounding
        counts.add(len(augmented.proposals))
    assert 2 in counts
    assert min(counts) < 2, "proposals outside the crop are dropped"


@torch.no_grad()
def test_regions_are_pooled_at_the_scale_nearest_to_224_pixels() -> None:
    torch.manual_seed(0)
    multi_scale = small().replace(scales=(0.5, 1.0)).build(2).eval()
    torch.manual_seed(0)
    one = small().build(2).eval()
    batch = one.prepare([torch.rand(3, 480, 480)])
    rows = [torch.tensor([[10.0, 10.0, 440.0, 430.0], [30.0, 30.0, 200.0, 230.0]])]
    pooled = multi_scale.region.pooled(multi_scale.maps(batch.images), rows)
    assert_close(pooled[1:], one.region.pooled(one.maps(batch.images), rows)[1:])
    half = multi_scale.maps(batch.images)[0]
    assert half.shape[-1] == 15
    assert_close(pooled[:1], one.region.pooled((half,), [rows[0][:1] / 2]))


def test_scales_require_one_map() -> None:
    with pytest.raises(ValueError, match="several scales need one feature map, got 4 levels"):
        small().replace(backbone=BackboneConfig(name="resnet18", weights=None), neck=FPNConfig(), scales=FIVE_SCALES).build(2)


@torch.no_grad()
def test_truncated_svd_layers_in_detection(detector: FastRCNN) -> None:
    rows, images = [boxes((2.0, 4.0, 50.0, 44.0), (0.0, 0.0, 30.0, 30.0))], [torch.rand(3, 64, 64)]
    expected, (truncated,) = detector(images, proposals=rows)[0], with_low_ranks(detector, (16, 16))(images, proposals=rows)
    assert_close(expected.scores, truncated.scores, atol=1e-4, rtol=1e-4)
    assert sum(p.numel() for p in with_low_ranks(detector, (2, 2)).parameters()) < sum(p.numel() for p in detector.parameters())
    assert isinstance(detector.region.head.fc6, torch.nn.Linear), "the input is not modified"
    with pytest.raises(ValueError, match="two ranks, one for each"):
        with_low_ranks(detector, (4,))


@torch.no_grad()
def test_rcnn_regions_are_independent() -> None:
    torch.manual_seed(0)
    config = RCNNConfig(
        backbone=BackboneConfig(name="resnet18", weights=None, levels=("c4",)), warp_size=32, context_pixels=4, chunk_size=3
    )
    detector = config.replace(region=config.region.replace(head=TwoFCConfig(hidden=8), pool_size=2)).build(2).eval()
    batch = detector.prepare([torch.rand(3, 50, 60), torch.rand(3, 40, 70)])
    rows = [torch.tensor([[1.0, 2.0, 30.0, 40.0]]).repeat(5, 1), torch.tensor([[5.0, 5.0, 66.0, 20.0]])]
    pooled = detector.region.pooled(detector.region_source(detector.maps(batch.images)), rows)
    assert pooled.shape == (6, 256, 2, 2)
    assert_close(pooled[:5], pooled[:1].expand(5, -1, -1, -1), atol=1e-5, rtol=1e-5)
    tiny = detector.prepare([torch.rand(3, 1, 1)])
    assert len(detector.detect(detector.raw(tiny, [boxes((0.0, 0.0, 1.0, 1.0))]), tiny)) == 1
