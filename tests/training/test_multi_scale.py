from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from detkit.config import ConfigError
from detkit.training.config import TrainingConfig
from detkit.training.multi_scale import MultiScaleConfig, scaled_sizes
from detkit.training.optim.optimizer import SGDConfig
from detkit.training.optim.schedule import CosineConfig
from detkit.training.run import Run
from detkit.training.stages import GradientStage, run_stages

SIZES = MultiScaleConfig(min_size=33, max_size=128, every_steps=2)


def test_a_size_is_kept_for_its_steps_and_all_sizes_are_drawn() -> None:
    config = MultiScaleConfig()
    assert list(config.sizes) == list(range(480, 801, 32))  # YOLOX: 15 to 25 times 32
    assert {config.side(0, step) for step in range(10)} == {None}
    sides = [config.side(0, step) for step in range(10, 2010)]
    assert all(len(set(sides[start : start + 10])) == 1 for start in range(0, 2000, 10))
    assert set(sides) == set(config.sizes)
    assert sides != [config.side(1, step) for step in range(10, 2010)]


def test_relative_image_sizes_are_kept() -> None:
    assert scaled_sizes([(640, 640), (640, 640)], 480) == [(480, 480), (480, 480)]
    assert scaled_sizes([(400, 800), (200, 100), (1, 2000)], 1000) == [(200, 400), (100, 50), (1, 1000)]


def test_no_possible_size() -> None:
    with pytest.raises(ConfigError, match="min_size=33, max_size=63: expected a multiple of divisor=32 between them, got none"):
        MultiScaleConfig(min_size=33, max_size=63)


def _seen(run: Run, stop: int) -> list[tuple[tuple[int, ...], float]]:
    """Return for each step the image size and the right side of the first box relative to it."""
    seen: list[tuple[tuple[int, ...], float]] = []
    forward = run.detector.forward

    def recorded(images: list[torch.Tensor], targets: list[Any], *rest: Any) -> Any:
        boxes = torch.cat([target.boxes for target in targets])
        seen.append((tuple(images[0].shape), float(boxes[0, 2]) / images[0].shape[-1]))
        return forward(images, targets, *rest)

    run.detector.forward = recorded  # type: ignore[method-assign]
    config = TrainingConfig(steps=stop, schedule_by="steps", precision="fp32", multi_scale=SIZES)
    run_stages(run, [GradientStage(config, SGDConfig(lr=0.1), CosineConfig())])
    return seen


def test_training_sees_images_and_boxes_at_the_drawn_sizes(toy_run: Callable[..., Run]) -> None:
    seen = _seen(toy_run(), 12)
    sides = [SIZES.side(0, step) or 32 for step in range(12)]
    assert [shape for shape, _ in seen] == [(3, side, side) for side in sides]
    assert len(set(sides)) > 2
    # The toy images repeat every three steps: their boxes keep their position in the image.
    assert [x2 for _, x2 in seen[3:]] == pytest.approx([x2 for _, x2 in seen[:-3]])
