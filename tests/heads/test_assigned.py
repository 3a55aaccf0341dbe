from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from detkit.heads.assigned import AssignedTargets, AssigningHead
from detkit.heads.one_stage import Outputs
from detkit.heads.postprocess import PostprocessConfig
from detkit.ops.match import BACKGROUND, IGNORE
from detkit.structures import Batch, Targets

LOCATIONS = [torch.tensor([[1.0, 1.0], [2.0, 2.0]]), torch.tensor([[3.0, 3.0], [4.0, 4.0]])]
BATCH = Batch(torch.zeros(2, 3, 8, 8), ((8, 8), (8, 8)))


class Counting(AssigningHead):
    """Assigns the last locations, one to each target; its loss is the sum of the outputs there."""

    def match(self, locations: list[Tensor], targets: Targets) -> Tensor:
        count = sum(map(len, locations))
        return torch.cat((torch.full((count - len(targets),), BACKGROUND), torch.arange(len(targets))))

    def image_losses(self, outputs: Outputs, assigned: AssignedTargets) -> dict[str, Tensor]:
        return {"class": outputs[0][assigned.positive].sum(), "box": assigned.locations.sum()}


def targets(count: int) -> Targets:
    return Targets.of(torch.tensor([[0.0, 0.0, 4.0, 4.0]]).repeat(count, 1), torch.arange(count))


def test_assigned_targets_are_looked_up() -> None:
    assigned = AssignedTargets(targets(2), torch.tensor([1, BACKGROUND, IGNORE, 0]), torch.cat(LOCATIONS))
    assert assigned.positive.tolist() == [0, 3]
    assert assigned.locations.tolist() == [[1, 1], [4, 4]]
    assert assigned.labels.tolist() == [1, 0]
    assert_close(assigned.boxes, assigned.targets.boxes)


@pytest.mark.parametrize(("divisor", "total"), [("positives", 3), ("images", 2)])
def test_losses_are_summed_and_divided(divisor: str, total: int) -> None:
    head = Counting(3, PostprocessConfig())
    head.loss_divisor = divisor
    outputs = (torch.tensor([[1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 30.0, 40.0]]),)
    losses = head.loss(outputs, LOCATIONS, BATCH, [targets(2), targets(1)])
    assert list(losses) == ["class", "box"]
    assert_close(losses["class"], torch.tensor((3.0 + 4 + 40) / total))
    assert_close(losses["box"], torch.tensor((6.0 + 8 + 8) / total))


def test_images_without_targets_keep_the_graph() -> None:
    head, outputs = Counting(3, PostprocessConfig()), (torch.ones(2, 4, requires_grad=True),)
    losses = head.loss(outputs, LOCATIONS, BATCH, [targets(0), targets(0)])
    losses["class"].backward()
    assert_close(losses["class"], torch.tensor(0.0))
    assert_close(outputs[0].grad, torch.zeros(2, 4))
