"""The query heads: outputs, losses without objects, fewer cells or layers, and the mask of the copies."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from detkit.heads.queries.denoising import DenoisingConfig
from detkit.heads.queries.dfine import DFINEHeadConfig
from detkit.heads.queries.rtdetr import RTDETRHead, RTDETRHeadConfig
from detkit.heads.queries.selection import cell_boxes
from detkit.structures import Batch, Targets

SIZE = (64, 96)
SMALL: dict[str, Any] = {"num_queries": 10, "channels": 16, "attention_heads": 2, "layers": 3, "hidden": 24, "points": (2, 3)}
CONFIGS = (RTDETRHeadConfig(**SMALL), DFINEHeadConfig(**SMALL, bins=8))
KINDS = ("rtdetr", "dfine")


def build(config: RTDETRHeadConfig, **changes: object) -> RTDETRHead:
    torch.manual_seed(0)
    head = config.replace(**changes).build((8, 16), (16, 32), 4)
    for parameter in head.parameters():  # nothing starts at zero
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.2)
    return head.eval()


def maps() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(2, 8, 4, 6, generator=generator), torch.randn(2, 16, 2, 3, generator=generator)]


def batch(seeds: tuple[int, ...] = (3, 4)) -> Batch:
    return Batch(torch.zeros(2, 3, *SIZE), (SIZE, SIZE), seeds)


def truth() -> list[Targets]:
    boxes = torch.tensor([[5.0, 6.0, 40.0, 50.0], [50.0, 10.0, 90.0, 30.0], [0.0, 0.0, 96.0, 64.0]])
    return [Targets.of(boxes, torch.tensor([1, 3, 0])), Targets.of(boxes[:1] * 0.8, torch.tensor([2]))]


@pytest.mark.parametrize("config", CONFIGS, ids=KINDS)
def test_outputs(config: RTDETRHeadConfig) -> None:
    head, stages = build(config), 4 if config is CONFIGS[0] else 5
    logits, boxes = head(maps(), batch())
    assert logits.shape == (2, 10, 1, 4)
    assert boxes.shape == (2, 10, stages, 4)
    shown = head.forward_with_targets(maps(), batch(), truth())
    assert_close(shown[0][:, :, -1:], logits)
    assert_close(shown[1], boxes)
    assert shown[0].shape == (2, 10, stages, 4)
    copies = 33 * 2 * 3
    assert [tuple(part.shape) for part in shown[2:5]] == [(2, copies, stages - 1, 4), (2, copies, stages - 1, 4), (2, copies)]


@pytest.mark.parametrize("config", CONFIGS, ids=KINDS)
def test_copies_do_not_change_the_predictions(config: RTDETRHeadConfig) -> None:
    """Whatever the objects are, the decoder's own queries predict the same in training: the answers are hidden from them."""
    head = build(config)
    first, second = (head.forward_with_targets(maps(), batch(), targets) for targets in (truth(), truth()[::-1]))
    assert_close(first[:2], second[:2])
    assert not torch.equal(first[3], second[3])


@pytest.mark.parametrize("config", CONFIGS, ids=KINDS)
def test_groups_do_not_see_each_other(config: RTDETRHeadConfig) -> None:
    """More groups add copies, and do not change those that are there."""
    one, many = (build(config, denoising=DenoisingConfig(queries=queries, box_noise=0.0, label_noise=0.0)) for queries in (3, 9))
    single, several = (head.forward_with_targets(maps(), batch(), truth()) for head in (one, many))
    assert_close(several[2][:, :6], single[2])
    assert_close(several[2][:, 6:12], single[2])


@pytest.mark.parametrize("config", CONFIGS, ids=KINDS)
@pytest.mark.parametrize("queries", [0, 9])
def test_every_parameter_learns_also_without_objects(config: RTDETRHeadConfig, queries: int) -> None:
    head = build(config, denoising=DenoisingConfig(queries=queries)).train()
    empty = [Targets.empty(), Targets.empty()]
    for targets in (truth(), [truth()[0], Targets.empty()], empty):
        head.zero_grad()
        losses = head.loss(head.forward_with_targets(maps(), batch(), targets), [], batch(), targets)
        total = sum(losses.values())
        assert isinstance(total, Tensor)
        assert torch.isfinite(total)
        total.backward()  # type: ignore[no-untyped-call]
        assert [name for name, p in head.named_parameters() if p.requires_grad and p.grad is None] == []
        if targets is empty:
            assert all(float(value.detach()) == 0 for name, value in losses.items() if "class" not in name and name != "distillation")


@pytest.mark.parametrize("config", CONFIGS, ids=KINDS)
def test_more_objects_than_queries(config: RTDETRHeadConfig) -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0]]) + 3 * torch.arange(15)[:, None]
    crowded, head = Targets.of(boxes, torch.zeros(15, dtype=torch.int64)), build(config)
    outputs = head.forward_with_targets(maps(), batch(), [crowded, Targets.empty()])
    assert all(torch.isfinite(value) for value in head.loss(outputs, [], batch(), [crowded, Targets.empty()]).values())
    (rows, _) = head.assignment(outputs[:2], [], batch(), [crowded, Targets.empty()])
    assert len(set(rows.tolist())) == 10


@pytest.mark.parametrize("config", CONFIGS, ids=KINDS)
def test_more_queries_than_cells(config: RTDETRHeadConfig) -> None:
    head = build(config, num_queries=100)
    outputs = head(maps(), batch())
    assert outputs[0].shape[1] == 4 * 6 + 2 * 3
    locations = head.locations([(4, 6), (2, 3)], batch())
    assert len(locations[0]) == outputs[0].shape[1]
    assert len(head.detect(outputs, locations, batch(), None)) == 2


@pytest.mark.parametrize("config", CONFIGS, ids=KINDS)
def test_fewer_layers_at_inference(config: RTDETRHeadConfig) -> None:
    full, short = build(config), build(config, inference_layers=2)
    every, outputs = full.forward_with_targets(maps(), batch(), truth()), short(maps(), batch())
    assert_close(outputs[0], every[0][:, :, -2:-1])
    assert_close(outputs[1], every[1][:, :, :-1])
    assert_close(short.forward_with_targets(maps(), batch(), truth())[0], every[0])


def test_one_class_may_have_many_boxes_and_one_query_many_classes() -> None:
    head = build(CONFIGS[0])
    outputs = head(maps(), batch())
    detections = head.detect(outputs, head.locations([(4, 6), (2, 3)], batch()), batch(), None)[0]
    assert len(detections.scores) == 40
    assert_close(detections.scores, outputs[0][0, :, -1].sigmoid().flatten().sort(descending=True).values)


def test_cell_boxes() -> None:
    boxes, usable = cell_boxes([(2, 4), (1, 1)], torch.device("cpu"))
    assert_close(boxes[:2], torch.tensor([[0.125, 0.25, 0.05, 0.05], [0.375, 0.25, 0.05, 0.05]]))
    assert_close(boxes[8], torch.tensor([0.5, 0.5, 0.1, 0.1]))
    assert usable.all()
    assert not cell_boxes([(60, 60)], torch.device("cpu"))[1].view(60, 60)[0].any(), "centers at .0083 are too near to the border"


def test_configs_refuse_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"points: expected 2 numbers, one for each level \(strides 16, 32\), got \(4, 4, 4\)"):
        CONFIGS[0].replace(points=(4, 4, 4)).build((8, 16), (16, 32), 4)
    with pytest.raises(ValueError, match="inference_layers: expected at most layers=3, got 4"):
        CONFIGS[0].replace(inference_layers=4)
    with pytest.raises(ValueError, match="multiple of attention_heads=3"):
        CONFIGS[1].replace(attention_heads=3)


@pytest.mark.parametrize("config", CONFIGS, ids=KINDS)
def test_explanation_has_the_boxes_of_every_stage(config: RTDETRHeadConfig) -> None:
    head, image = build(config), Batch(torch.zeros(1, 3, *SIZE), (SIZE,))
    outputs = head([level[:1] for level in maps()], image)
    explanation = head.explain(outputs, head.locations([(4, 6), (2, 3)], image), image, truth()[0], None)
    first = ["selection"] if config is CONFIGS[0] else ["selection", "first estimate"]
    assert list(explanation.refinement) == [*first, "layer 1", "layer 2", "layer 3"]
    assert_close(explanation.refinement["layer 3"], explanation.locations[0])
    assert explanation.location_name == "query"
    assert int((explanation.assignment >= 0).sum()) == 3
