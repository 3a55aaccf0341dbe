from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from detkit.heads.region.fitted import FittedConfig, FittedLayers
from detkit.ops.coder import encode
from detkit.training.fitting.feature_store import FeatureStore, RegionFeatures
from detkit.training.fitting.ridge import Ridge, RidgeConfig
from detkit.training.fitting.stages import BoxRegressionStage, StageInterrupted
from detkit.training.process.signals import StopSignals

CLASSES, IMAGES, LENGTH = 6, 5, 7
WEIGHTS = (1.0, 1.0, 1.0, 1.0)


def image(index: int) -> RegionFeatures:
    """Return two overlapping objects of one class, one of another class, three regions that match each well, and one that does not."""
    random = np.random.default_rng(index)
    objects = np.array([[10, 10, 50, 50], [17, 10, 57, 50], [100, 100, 160, 140]], np.float32)
    moved = np.concatenate([objects + random.uniform(-3, 3, (3, 4)).astype(np.float32) for _ in range(3)])
    boxes = np.concatenate([objects, moved, np.array([[10, 10, 30, 50]], np.float32)])
    pooled = random.standard_normal((len(boxes), LENGTH)).astype(np.float16)
    labels = np.array([index % CLASSES, index % CLASSES, (index + 1) % CLASSES])
    return RegionFeatures(boxes, labels, np.zeros((len(boxes), 2), np.float16), np.arange(len(boxes)), pooled)


def fake_run(layers: FittedLayers, received: str | None = None) -> Any:
    region = SimpleNamespace(fitted=layers, config=SimpleNamespace(box_weights=WEIGHTS))
    signals = StopSignals()
    signals.received = received
    return SimpleNamespace(
        detector=SimpleNamespace(region=region, num_classes=CLASSES), signals=signals, is_budget_spent=lambda share: False
    )


def test_one_pass_over_the_images_serves_all_classes(tmp_path: Path) -> None:
    computed: list[int] = []

    def compute(index: int) -> RegionFeatures:
        computed.append(index)
        return image(index)

    # The cache has no space, so every pass recomputes the features; the first pass is for the mean norm.
    store = FeatureStore(tmp_path / "features", "key", 0.0, IMAGES, compute)
    layers = FittedLayers(2, LENGTH, CLASSES, FittedConfig())
    ridge = RidgeConfig(penalty=1.0)
    BoxRegressionStage(ridge=ridge).fit(fake_run(layers), store)
    assert computed == [*range(IMAGES), *range(IMAGES)]
    assert bool(layers.has_boxes)
    assert [path.name for path in (tmp_path / "features").iterdir()] == ["key.txt"]
    norms = np.concatenate([np.linalg.norm(image(index).pooled.astype(np.float32), axis=1) for index in range(IMAGES)])
    scale = ridge.target_norm / norms.mean()
    for label in range(CLASSES):
        expected = Ridge(LENGTH)
        for regions in map(image, range(IMAGES)):
            objects = np.flatnonzero(regions.labels == label).tolist()
            for region, ious in enumerate(regions.ious()):
                # Each region is regressed to the object of the class that it overlaps most.
                best = max(objects, key=ious.__getitem__, default=None)
                if best is not None and ious[best] > ridge.min_iou:
                    truth, box = (torch.from_numpy(regions.boxes[[row]]) for row in (best, region))
                    targets = encode(truth, box, WEIGHTS).numpy()
                    expected.add(regions.pooled[[region]].astype(np.float32) * np.float32(scale), targets)
        weights, biases = expected.solve(ridge.penalty)
        torch.testing.assert_close(layers.boxes.weight[4 * label : 4 * label + 4], torch.from_numpy(weights * scale).float())
        torch.testing.assert_close(layers.boxes.bias[4 * label : 4 * label + 4], torch.from_numpy(biases).float())


def test_an_interrupted_fit_leaves_no_files(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "features", "key", 0.0, IMAGES, image)
    layers = FittedLayers(2, LENGTH, CLASSES, FittedConfig())
    with pytest.raises(StageInterrupted):
        BoxRegressionStage().fit(fake_run(layers, "SIGTERM"), store)
    assert not bool(layers.has_boxes)
    assert [path.name for path in (tmp_path / "features").iterdir()] == ["key.txt"]
