"""The check of every timm network, and its committed result."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import timm

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import timm_backbones  # noqa: E402

RESULT: dict[str, Any] = json.loads(timm_backbones.OUTPUT.read_text("utf-8"))
ROWS: dict[str, dict[str, Any]] = RESULT["networks"]
SAMPLE = ["beit_base_patch16_224", "csatv2", "dla34", "levit_128", "pit_xs_224", "resnet18", "tresnet_m", "vit_tiny_r_s16_p8_224"]


def test_every_network_is_right_or_refused() -> None:
    assert not [name for name, row in ROWS.items() if "wrong" in row]
    assert all(len(row["refused"]) > 20 for row in ROWS.values() if "refused" in row)
    assert sum("levels" in row for row in ROWS.values()) > 0.8 * len(ROWS)


@pytest.mark.skipif(timm.__version__ != RESULT["timm"], reason="another timm than the result is of")
def test_every_network_is_listed() -> None:
    own = [name for name in timm.list_models() if timm.model_entrypoint(name).__module__.startswith("timm.")]  # none that tests registered
    assert list(ROWS) == own


@pytest.mark.skipif(timm.__version__ != RESULT["timm"], reason="another timm than the result is of")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) for name in SAMPLE] + ["test_vit", "test_resnet", "crossvit_9_240"]
)
def test_the_result_is_up_to_date(name: str) -> None:
    assert json.loads(json.dumps(timm_backbones.check(name))) == ROWS[name], "run: python tools/timm_backbones.py"


def test_wrong_shapes_and_names_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from detkit.backbones.any_timm.features import TimmFeatures

    forward = TimmFeatures.forward
    monkeypatch.setattr(TimmFeatures, "forward", lambda self, images: tuple(level[..., 1:] for level in forward(self, images)))
    assert timm_backbones.check("test_resnet")["wrong"].startswith("expected maps [(")
    monkeypatch.setattr(TimmFeatures, "forward", forward)
    monkeypatch.setattr(TimmFeatures, "rename_published", lambda _self, tensors: dict(tensors))
    assert "tensors are not in timm's classifier: body.conv1.0.weight" in timm_backbones.check("test_resnet")["wrong"]
