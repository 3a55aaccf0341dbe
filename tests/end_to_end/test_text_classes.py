"""A detector whose classes are given by phrases passes the smoke test: training, checkpoint and detection."""

from __future__ import annotations

from pathlib import Path

import pytest

from detkit.config import apply_overrides, load_config
from detkit.experiment import Experiment
from detkit.experiment.smoke import smoke, smoke_config

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "fast_rcnn_lite0_bccd.py"


@pytest.mark.slow
def test_smoke(tmp_path: Path) -> None:
    """Run without the checkpoint of the embeddings: a smoke test needs no weights."""
    overrides = ["model.region.text=nowhere.safetensors", "model.region.text.background=()", f"output={tmp_path / 'run'}"]
    config = apply_overrides(load_config(CONFIG, Experiment), overrides)
    assert smoke_config(config, tmp_path).model.region.text.embeddings is None  # type: ignore[attr-defined]
    assert smoke(config).trained.best.is_file()
