"""The mask head against torchvision's: its network, its loss, and its memory."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import maskrcnn_loss
from torchvision.ops import MultiScaleRoIAlign

from detkit.heads.region import mask
from detkit.heads.region.classifier import RegionTargets
from detkit.heads.region.mask import MaskHead, MaskHeadConfig
from detkit.structures import Batch, Detections, Masks, Targets

SIZE = (64, 96)
STRIDES = (4, 8)
CHANNELS = 8
BATCH = Batch(torch.zeros((2, 3, *SIZE)), (SIZE, SIZE))


@pytest.fixture
def head() -> MaskHead:
    torch.manual_seed(0)
    return MaskHeadConfig(pool_size=5, convs=2, width=16).build((CHANNELS, CHANNELS), STRIDES, 3).eval()


def maps() -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn((2, CHANNELS, SIZE[0] // stride, SIZE[1] // stride), generator=generator) for stride in STRIDES)


def objects() -> Targets:
    """Three objects, of which the last has no labeled mask."""
    pixels = np.zeros((2, *SIZE), np.bool_)
    pixels[0, 10:40, 5:30] = np.random.default_rng(0).random((30, 25)) > 0.5
    pixels[1, 20:64, 40:96] = True
    masks = Masks.cat([Masks.of_arrays(pixels), Masks.none(1)])
    boxes = torch.tensor([[5.0, 10, 30, 40], [40, 20, 96, 64], [0, 0, 20, 20]])
    return Targets.of(boxes, torch.tensor([2, 0, 1])).replace(masks=masks)


def sampled(rows: list[int], targets: Targets, shift: float = 2.5) -> RegionTargets:
    """Positive boxes near these objects, and one of background."""
    index = torch.tensor(rows, dtype=torch.int64)
    boxes = torch.cat((targets.boxes[index] + shift, torch.tensor([[60.0, 0.0, 90.0, 15.0]])))
    return RegionTargets(boxes, torch.cat((targets.labels[index], torch.tensor([3]))), torch.zeros((len(rows), 4)), index)


def torchvisions(head: MaskHead) -> tuple[MultiScaleRoIAlign, MaskRCNNHeads, MaskRCNNPredictor]:
    """Torchvision's head with the same weights, and a random mask for background."""
    network = head.network
    convs = MaskRCNNHeads(CHANNELS, [16, 16], 1)
    convs.load_state_dict(network.convs.state_dict())
    last = MaskRCNNPredictor(16, 16, 4)
    last.conv5_mask.load_state_dict(network.upsample.state_dict())
    with torch.no_grad():
        last.mask_fcn_logits.weight[1:] = network.logits.weight
        last.mask_fcn_logits.bias[1:] = network.logits.bias
    return MultiScaleRoIAlign(["0", "1"], 5, 2), convs, last


def their_logits(head: MaskHead, boxes: list[Tensor]) -> Tensor:
    pool, convs, last = torchvisions(head)
    logits: Tensor = last(convs(pool({str(index): level for index, level in enumerate(maps())}, boxes, [SIZE, SIZE])))
    return logits


@pytest.mark.oracle("torchvision", "mask loss", tolerance="1e-4 relative")
def test_the_loss_is_that_of_torchvision(head: MaskHead) -> None:
    """Boxes of the object without a mask are left out, and those of background too."""
    targets = objects()
    first, second = sampled([0, 1, 1], targets), sampled([1, 2], targets, -3.0)
    loss = head.loss(maps(), [first, second], BATCH, [targets, targets])
    boxes = [first.boxes[:3], second.boxes[:1]]
    assert targets.masks is not None
    pixels = torch.from_numpy(targets.masks[:2].arrays(SIZE))
    labels = [targets.labels[:2] + 1] * 2
    expected = maskrcnn_loss(their_logits(head, boxes), boxes, [pixels] * 2, labels, [first.rows, second.rows[:1]])
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=0)


@pytest.mark.oracle("torchvision", "mask probabilities", tolerance="1e-5")
def test_probabilities_are_those_of_the_class_in_torchvision(head: MaskHead) -> None:
    boxes = [torch.tensor([[3.0, 4, 40, 50], [10, 10, 20, 18]]), torch.zeros((0, 4))]
    labels = torch.tensor([2, 0])
    rows = [
        Detections(boxes[0], torch.tensor([0.9, 0.8]), labels),
        Detections(boxes[1], torch.zeros(0), torch.zeros(0, dtype=torch.int64)),
    ]
    with torch.no_grad():
        first, second = head.with_masks(maps(), rows)
        expected = their_logits(head, boxes).sigmoid()[torch.arange(2), labels + 1]
    torch.testing.assert_close(first.mask_probabilities, expected, atol=1e-5, rtol=0)
    assert second.mask_probabilities is not None
    assert second.mask_probabilities.shape == (0, 10, 10)


@pytest.mark.parametrize("without", ["objects", "masks"])
def test_the_loss_is_zero_but_in_the_graph(head: MaskHead, without: str) -> None:
    targets = Targets.empty() if without == "objects" else objects().replace(masks=None)
    samples = [sampled([] if without == "objects" else [0, 1], targets)] * 2
    loss = head.loss(maps(), samples, BATCH, [targets] * 2)
    loss.backward()
    assert float(loss.detach()) == 0
    assert all(parameter.grad is not None for parameter in head.parameters())


def test_only_the_row_of_the_true_class_learns(head: MaskHead) -> None:
    targets = objects()
    head.loss(maps(), [sampled([0], targets)] * 2, BATCH, [targets] * 2).backward()
    gradient = head.network.logits.weight.grad
    assert gradient is not None
    assert gradient.flatten(1).any(1).tolist() == [False, False, True]


def test_the_last_layer_is_in_float32_under_autocast(head: MaskHead) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        logits = head(tuple(level.bfloat16() for level in maps()), torch.tensor([[0.0, 1, 2, 50, 60]]), torch.tensor([1]))
    assert logits.dtype == torch.float32


class Counting(MaskHead):
    """Keeps the number of boxes of each call of the network."""

    counts: ClassVar[list[int]] = []

    def forward(self, maps: Any, regions: Tensor, labels: Tensor, *, compiled: bool = True) -> Tensor:
        self.counts.append(len(regions))
        return super().forward(maps, regions, labels, compiled=compiled)


@torch.no_grad()
def test_five_hundred_objects_are_predicted_in_chunks(head: MaskHead) -> None:
    counting = Counting(head.network, head.strides, head.config)
    boxes = torch.rand((500, 2), generator=torch.Generator().manual_seed(0)) * 50
    rows = Detections(torch.cat((boxes, boxes + 10), 1), torch.linspace(1, 0.1, 500), torch.arange(500) % 3)
    (found, nothing) = counting.with_masks(maps(), [rows, rows[:0]])
    assert max(counting.counts) <= mask.CHUNK
    assert sum(counting.counts) == 500
    assert found.mask_probabilities is not None
    torch.testing.assert_close(found[490:].mask_probabilities, head.with_masks(maps(), [rows[490:], rows[:0]])[0].mask_probabilities)
    assert len(nothing) == 0
