"""Print the memory that SVMs and box regressors use with three times as many examples as fit."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from growth import growth

from detkit.heads.region.fitted import FittedConfig, FittedLayers
from detkit.training.fitting.feature_store import FeatureStore, RegionFeatures
from detkit.training.fitting.ridge import Ridge
from detkit.training.fitting.stages import SVMStage
from detkit.training.fitting.svm import SVMConfig, fit_svm
from detkit.training.process.signals import StopSignals

CLASSES, LENGTH, IMAGES, REGIONS, OBJECTS = 4, 1024, 12, 400, 300
CONFIG = SVMConfig(memory_megabytes=48.0, tolerance=10.0, cost=1e-6)
REGRESSED = 1500


def noise(index: int) -> RegionFeatures:
    """Return an image with random features, so that every negative stays hard."""
    corners = np.arange(float(REGIONS))[:, None] * 50 + np.zeros(2)
    boxes = np.concatenate([corners, corners + 40], 1).astype(np.float32)
    hidden = np.random.default_rng(index).standard_normal((REGIONS, LENGTH), np.float32).astype(np.float16)
    return RegionFeatures(boxes, np.arange(OBJECTS) % CLASSES, hidden, np.zeros(0, np.int64), np.zeros((0, 1), np.float16))


def svms(store: FeatureStore) -> None:
    """Fit one SVM per class with the stage that trains them."""
    region = SimpleNamespace(fitted=FittedLayers(LENGTH, 1, CLASSES, FittedConfig()))
    run = SimpleNamespace(
        detector=SimpleNamespace(region=region, num_classes=CLASSES), signals=StopSignals(), is_budget_spent=lambda share: False
    )
    SVMStage(svm=CONFIG).fit(run, store)  # type: ignore[arg-type]
    if not bool(region.fitted.has_svm):
        raise ValueError("no SVM was fitted")


def regressor() -> None:
    """Fit one regressor from many more rows than features."""
    ridge, random = Ridge(REGRESSED), np.random.default_rng(0)
    for _ in range(20):
        ridge.add(random.random((200, REGRESSED), np.float32), random.random((200, 4), np.float32))
    if not np.isfinite(ridge.solve(1.0)[0]).all():
        raise ValueError("the regressor is not finite")


def main() -> int:
    """Print the megabytes of the SVMs, then of the regressor."""
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore(Path(folder) / "features", "key", 1000.0, IMAGES, noise)
        list(store)
        fit_svm(np.ones((2, 3)), np.zeros((2, 3)), CONFIG)  # imports
        small = Ridge(2)
        small.add(np.ones((5, 2), np.float32), np.ones((5, 4), np.float32))
        small.solve(1.0)
        growth(lambda: svms(store))
        growth(regressor)
    return 0


if __name__ == "__main__":
    sys.exit(main())
