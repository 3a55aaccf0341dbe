from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, TwoMLPHead

from detkit.heads.region.classifier import RegionClassifier, RegionConfig
from detkit.heads.region.layers import ConvFCConfig, RegionPredictor, TwoFCConfig
from detkit.structures import Batch, Proposals, Targets


@pytest.mark.oracle("torchvision", "layers of region heads", tolerance="1e-5")
def test_heads_match_torchvision() -> None:
    regions = torch.randn(3, 8, 5, 5)
    reference, head = TwoMLPHead(200, 16), TwoFCConfig(hidden=16).build(8, 5)
    head.load_state_dict(reference.state_dict())
    assert_close(head(regions), reference(regions))
    convolutional = FastRCNNConvFCHead((8, 5, 5), [6, 6], [16], norm_layer=torch.nn.BatchNorm2d)
    other = ConvFCConfig(convs=2, width=6, hidden=16).build(8, 5)
    names = {"3": "fc", "0": "convs.0", "1": "convs.1"}
    other.load_state_dict({f"{names[name[0]]}{name[1:]}": tensor for name, tensor in convolutional.state_dict().items()})
    assert_close(other(regions), convolutional(regions))


def test_background_is_last_and_has_no_box() -> None:
    logits, deltas = RegionPredictor(16, 5)(torch.randn(3, 16))
    assert (logits.shape, deltas.shape) == ((3, 6), (3, 5, 4))
    with torch.autocast("cpu", torch.bfloat16):
        assert {part.dtype for part in RegionPredictor(16, 5)(torch.randn(3, 16).bfloat16())} == {torch.float32}


def classifier(num_classes: int = 3, head: object = None, **numbers: object) -> RegionClassifier:
    torch.manual_seed(0)
    return RegionConfig(head=head or TwoFCConfig(hidden=16), pool_size=3, **numbers).build((4, 4), (4, 8), num_classes)


def maps() -> list[torch.Tensor]:
    return [torch.randn(2, 4, 16, 24), torch.randn(2, 4, 8, 12), torch.randn(2, 4, 4, 6)]


def batch() -> Batch:
    return Batch(torch.zeros(2, 3, 64, 96), ((60, 90), (64, 96)), (1, 2))


def proposals(count: int) -> Proposals:
    corner = torch.rand(count, 2) * 40
    return Proposals(torch.cat((corner, corner + 5 + torch.rand(count, 2) * 20), 1), torch.rand(count))


TRUTH = Targets.of(
    torch.tensor([[5.0, 5.0, 30.0, 30.0], [0.0, 0.0, 64.0, 64.0]]), torch.tensor([2, 1]), is_crowd=torch.tensor([False, True])
)


def test_samples_include_true_boxes_but_no_crowds() -> None:
    module = classifier()
    sample = module.sample_targets(Proposals.empty(), TRUTH, 0)
    assert_close(sample.boxes, TRUTH.boxes[:1])
    assert sample.labels.tolist() == [2]
    assert_close(sample.deltas, torch.zeros(1, 4))
    assert len(classifier(add_targets=False).sample_targets(Proposals.empty(), TRUTH, 0).labels) == 0


def test_samples_keep_the_positive_fraction() -> None:
    module = classifier(samples_per_image=16, positive_fraction=0.25)
    near = TRUTH.boxes[:1] + torch.rand(50, 4)
    far = torch.tensor([[70.0, 40.0, 80.0, 55.0]]).repeat(50, 1)
    sample = module.sample_targets(Proposals(torch.cat((near, far)), torch.zeros(100)), TRUTH, 0)
    assert sample.labels.tolist() == [2] * 4 + [3] * 12
    assert len(sample.deltas) == 4


def test_background_inside_a_crowd_is_not_sampled() -> None:
    inside = torch.tensor([[40.0, 40.0, 60.0, 60.0]]).repeat(5, 1)
    assert classifier().sample_targets(Proposals(inside, torch.zeros(5)), TRUTH, 0).labels.tolist() == [2]


@pytest.mark.parametrize("head", [TwoFCConfig(hidden=16), ConvFCConfig(convs=2, width=6, hidden=16)])
def test_empty_batch_has_zero_loss_and_reaches_every_parameter(head: object) -> None:
    module = classifier(head=head).train()
    losses = module.loss(maps(), module.sample_batch([Proposals.empty()] * 2, batch(), [Targets.empty()] * 2))
    assert {name: loss.item() for name, loss in losses.items()} == {"region_class": 0.0, "region_box": 0.0}
    sum(losses.values()).backward()
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in module.parameters())
    assert all(torch.isfinite(buffer).all() for buffer in module.buffers())


def test_losses_are_divided_by_the_number_of_samples() -> None:
    module = classifier()
    with torch.no_grad():
        module.predictor.logits.weight.zero_()
        module.predictor.logits.bias.zero_()
        losses = module.loss(maps(), module.sample_batch([proposals(30), proposals(7)], batch(), [TRUTH, Targets.empty()]))
    assert_close(losses["region_class"], torch.log(torch.tensor(4.0)))


@torch.no_grad()
def test_detections_for_any_number_of_proposals() -> None:
    module = classifier(max_detections=20, min_score=0.01)
    detections = module.detect(maps(), [proposals(40), Proposals.empty()], batch())
    assert [len(rows) for rows in detections] == [20, 0]
    assert (detections[0].boxes <= torch.tensor([90.0, 60.0, 90.0, 60.0])).all()
    filtered = module.detect(maps(), [proposals(40), Proposals.empty()], batch(), torch.tensor([True, False, True]))
    assert set(filtered[0].labels.tolist()) == {1}
    assert [len(rows) for rows in module.detect(maps(), [Proposals.empty()] * 2, batch())] == [0, 0]
