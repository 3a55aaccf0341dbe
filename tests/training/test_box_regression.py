from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from detkit.heads.region_fitted import FittedConfig, FittedLayers
from detkit.ops.coder import encode
from detkit.training.feature_store import FeatureStore, RegionFeatures
from detkit.training.fitted_stages import BoxRegressionStage, StageInterrupted
from detkit.training.interrupt import StopSignals
from detkit.training.ridge import Ridge, RidgeConfig

CLASSES, IMAGES, LENGTH = 6, 5, 7
WEIGHTS = (1.0, 1.0, 1.0, 1.0)


def image(place: int) -> RegionFeatures:
    """Two objects of a class that lie on one another, one of another class, three regions that lie well on each, and one that does not."""
    random = np.random.default_rng(place)
    objects = np.array([[10, 10, 50, 50], [17, 10, 57, 50], [100, 100, 160, 140]], np.float32)
    moved = np.concatenate([objects + random.uniform(-3, 3, (3, 4)).astype(np.float32) for _ in range(3)])
    boxes = np.concatenate([objects, moved, np.array([[10, 10, 30, 50]], np.float32)])
    pooled = random.standard_normal((len(boxes), LENGTH)).astype(np.float16)
    labels = np.array([place % CLASSES, place % CLASSES, (place + 1) % CLASSES])
    return RegionFeatures(boxes, labels, np.zeros((len(boxes), 2), np.float16), np.arange(len(boxes)), pooled)


def run_of(layers: FittedLayers, received: str | None = None) -> Any:
    region = SimpleNamespace(fitted=layers, config=SimpleNamespace(box_weights=WEIGHTS))
    signals = StopSignals()
    signals.received = received
    return SimpleNamespace(detector=SimpleNamespace(region=region, num_classes=CLASSES), signals=signals, is_late=lambda share: False)


def test_one_look_at_the_images_serves_all_classes(tmp_path: Path) -> None:
    made: list[int] = []

    def make(place: int) -> RegionFeatures:
        made.append(place)
        return image(place)

    # Nothing fits on the disk, so that every look makes the features anew; the first is for the mean norm.
    store = FeatureStore(tmp_path / "features", "key", 0.0, IMAGES, make)
    layers = FittedLayers(2, LENGTH, CLASSES, FittedConfig())
    ridge = RidgeConfig(penalty=1.0)
    BoxRegressionStage(ridge=ridge).fit(run_of(layers), store)
    assert made == [*range(IMAGES), *range(IMAGES)]
    assert bool(layers.has_boxes)
    assert [path.name for path in (tmp_path / "features").iterdir()] == ["key.txt"]
    norms = np.concatenate([np.linalg.norm(image(place).pooled.astype(np.float32), axis=1) for place in range(IMAGES)])
    scale = ridge.target_norm / norms.mean()
    for label in range(CLASSES):
        expected = Ridge(LENGTH)
        for found in map(image, range(IMAGES)):
            objects = np.flatnonzero(found.labels == label).tolist()
            for region, overlaps in enumerate(found.overlaps()):
                # Each region learns from the object of the class that it overlaps most.
                best = max(objects, key=overlaps.__getitem__, default=None)
                if best is not None and overlaps[best] > ridge.min_iou:
                    truth, box = (torch.from_numpy(found.boxes[[row]]) for row in (best, region))
                    wanted = encode(truth, box, WEIGHTS).numpy()
                    expected.add(found.pooled[[region]].astype(np.float32) * np.float32(scale), wanted)
        weights, biases = expected.solve(ridge.penalty)
        torch.testing.assert_close(layers.boxes.weight[4 * label : 4 * label + 4], torch.from_numpy(weights * scale).float())
        torch.testing.assert_close(layers.boxes.bias[4 * label : 4 * label + 4], torch.from_numpy(biases).float())


def test_nothing_is_left_on_the_disk_where_a_run_is_cut(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "features", "key", 0.0, IMAGES, image)
    layers = FittedLayers(2, LENGTH, CLASSES, FittedConfig())
    with pytest.raises(StageInterrupted):
        BoxRegressionStage().fit(run_of(layers, "SIGTERM"), store)
    assert not bool(layers.has_boxes)
    assert [path.name for path in (tmp_path / "features").iterdir()] == ["key.txt"]
