from __future__ import annotations

from typing import Literal

import pytest

from detkit.backbones import BackboneConfig
from detkit.heads.region.fitted import FittedConfig
from detkit.heads.region.layers import TwoFCConfig
from detkit.models.rcnn import RCNN, RCNNConfig
from detkit.training.parts import frozen, reset_stale_fits


def fitted_rcnn(boxes_from: Literal["pooled", "hidden"]) -> RCNN:
    config = RCNNConfig(
        backbone=BackboneConfig(name="lenet5", weights=None, levels=("c2",), frozen_stages=0), warp_size=32, context_pixels=0
    )
    region = config.region.replace(head=TwoFCConfig(hidden=4), pool_size=1, fitted=FittedConfig(boxes_from=boxes_from))
    model = config.replace(region=region).build(2)
    model.region.fitted.has_svm.fill_(True)
    model.region.fitted.has_boxes.fill_(True)
    return model


@pytest.mark.parametrize(
    ("boxes_from", "prefixes", "unfreezes", "enabled"),
    [
        ("pooled", (), False, (False, False)),
        ("hidden", (), False, (False, False)),
        ("pooled", ("neck",), False, (False, True)),
        ("hidden", ("neck",), False, (False, False)),
        ("pooled", ("neck",), True, (False, False)),
        ("pooled", ("region.head",), False, (False, False)),
        ("hidden", ("neck", "region.head"), False, (True, True)),
    ],
)
def test_fits_to_features_that_are_trained_are_disabled(
    boxes_from: Literal["pooled", "hidden"], prefixes: tuple[str, ...], unfreezes: bool, enabled: tuple[bool, bool]
) -> None:
    model = fitted_rcnn(boxes_from)
    with frozen(model, "gradient", prefixes):
        reset_stale_fits(model, "gradient", unfreezes=unfreezes)
    assert (bool(model.region.fitted.has_svm), bool(model.region.fitted.has_boxes)) == enabled


def test_disabled_fits_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    model = fitted_rcnn("hidden")
    caplog.set_level("INFO", "detkit.training")
    reset_stale_fits(model, "finetuning")
    reset_stale_fits(model, "finetuning")
    (line,) = caplog.messages
    assert line == "finetuning: the earlier fits (svm, boxes) are disabled until they are fitted again"
