from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from detkit.heads.queries.denoising import DenoisingConfig, DenoisingQueries, Noise, denoising_queries, draw_noise
from detkit.ops.match import BACKGROUND, IGNORE
from detkit.structures import Batch, Targets

EXTENT = torch.tensor([[100.0, 50.0, 100.0, 50.0]])
CONFIG = DenoisingConfig(queries=6)


def targets(count: int) -> Targets:
    boxes = torch.tensor([[10.0, 10.0, 50.0, 30.0], [20.0, 5.0, 40.0, 45.0], [60.0, 10.0, 90.0, 40.0]])[:count]
    return Targets.of(boxes, torch.arange(count))


def batch(seeds: tuple[int, ...]) -> Batch:
    return Batch(torch.zeros(len(seeds), 3, 50, 100), ((50, 100),) * len(seeds), seeds)


def copies(shown: list[Targets], config: DenoisingConfig = CONFIG, num_classes: int = 4) -> DenoisingQueries:
    images = batch(tuple(range(7, 7 + len(shown))))
    return denoising_queries(shown, EXTENT.expand(len(shown), 4), num_classes, config, draw_noise(shown, images, num_classes, config))


def test_groups_hold_every_object_once_and_a_negative_of_each() -> None:
    result = copies([targets(2), targets(1), targets(0)])
    assert result.num_groups == 3
    assert result.labels.shape == (3, 3 * 2 * 2)
    assert result.assignment.tolist() == [
        [0, 1, BACKGROUND, BACKGROUND] * 3,
        [0, BACKGROUND, BACKGROUND, BACKGROUND] * 3,
        [BACKGROUND] * 12,
    ]
    assert (result.labels[1].view(3, 2, 2)[:, :, 1] == 4).all()
    assert (result.labels[2] == 4).all()


def test_noise_of_given_numbers() -> None:
    """A corner moves by at most half a side; a negative one by half to a whole side; the box stays in the image."""
    shape = (1, 2, 1)
    noise = Noise(
        torch.ones(shape),
        torch.zeros(shape, dtype=torch.int64),
        torch.tensor([-1.0, -1.0, 1.0, 1.0]).expand(1, 2, 1, 4),
        torch.full((1, 2, 1, 4), 0.5),
    )
    result = denoising_queries([targets(1)], EXTENT, 4, DenoisingConfig(queries=1), [noise])
    # Fractions of the box: .1, .2, .5, .6; half its sides are .2 each.
    positive, negative = (0.0, 0.1, 0.6, 0.7), (0.0, 0.0, 0.8, 0.9)
    for row, (x1, y1, x2, y2) in enumerate((positive, negative)):
        assert_close(result.boxes[0, row], torch.tensor([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]))
    assert result.labels.tolist() == [[0, 0]]


def test_swapped_corners_give_positive_sizes() -> None:
    noise = Noise(
        torch.ones(1, 2, 1),
        torch.zeros(1, 2, 1, dtype=torch.int64),
        torch.tensor([1.0, 1.0, -1.0, -1.0]).expand(1, 2, 1, 4),
        torch.full((1, 2, 1, 4), 0.9),
    )
    result = denoising_queries([targets(1)], EXTENT, 4, DenoisingConfig(queries=1), [noise])
    assert (result.boxes[..., 2:] >= 0).all()


def test_a_share_of_the_labels_is_random() -> None:
    many = Targets.of(torch.tensor([[0.0, 0.0, 10.0, 10.0]]).repeat(500, 1), torch.zeros(500, dtype=torch.int64))
    changed = (copies([many], num_classes=1000).labels != 0).float().mean()
    assert 0.2 < float(changed) < 0.3
    assert (copies([many], DenoisingConfig(queries=6, label_noise=0.0), num_classes=1000).labels == 0).all()


def test_noise_depends_on_the_image_alone() -> None:
    shown = [targets(3), targets(3)]
    first = draw_noise(shown, batch((5, 9)), 4, CONFIG)
    second = draw_noise(shown[:1], batch((9,)), 4, CONFIG)
    assert_close(first[1].shifts, second[0].shifts, rtol=0, atol=0)
    assert not torch.equal(first[0].shifts, first[1].shifts)


def test_mask() -> None:
    result = copies([targets(2)])
    mask, count = result.mask(3), 12
    group = torch.arange(count) // 4
    assert_close(mask[:count, :count], group[:, None] != group)
    assert mask[count:, :count].all(), "the decoder's own queries must not see the answers"
    assert not mask[:count, count:].any()
    assert not mask[count:, count:].any()


def test_more_objects_than_copies_give_one_group() -> None:
    assert copies([targets(3)], DenoisingConfig(queries=2)).num_groups == 1


@pytest.mark.parametrize("config", [CONFIG, DenoisingConfig(queries=0)])
def test_nothing_to_copy(config: DenoisingConfig) -> None:
    shown = [targets(0), targets(0)] if config is CONFIG else [targets(1), targets(2)]
    result = copies(shown, config)
    assert result.labels.shape == (2, 0)
    assert not result.mask(4).any()


def test_crowds_are_not_copied() -> None:
    boxes: Tensor = torch.tensor([[0.0, 0.0, 90.0, 40.0], [10.0, 10.0, 50.0, 30.0]])
    crowded = Targets.of(boxes, torch.tensor([0, 1]), is_crowd=torch.tensor([True, False]))
    assert set(copies([crowded]).assignment.flatten().tolist()) == {1, IGNORE}
    crowded = crowded.replace(boxes=torch.tensor([[70.0, 0.0, 90.0, 40.0], [10.0, 10.0, 50.0, 30.0]]))
    assert set(copies([crowded]).assignment.flatten().tolist()) == {1, BACKGROUND}


def test_copies_of_nothing_are_ignored_where_the_corner_of_the_image_is() -> None:
    region = Targets.of(torch.tensor([[-9.0, -9.0, 90.0, 90.0]]), torch.tensor([0]), is_crowd=torch.tensor([True]))
    result = copies([targets(1), region, Targets.empty()])
    assert [set(rows.tolist()) for rows in result.assignment] == [{0, BACKGROUND}, {IGNORE}, {BACKGROUND}]
