"""Fitted layers whose ground moves: what was fitted to features says nothing once these have learned on."""

from __future__ import annotations

import logging

from torch import nn

from detkit.heads.region_classifier import RegionClassifier

log = logging.getLogger("detkit.training")


def reset_stale_fits(detector: nn.Module, stage: str, *, unfreezes: bool = False) -> None:
    """Pass over the fitted layers of a detector under which something is about to learn, until their stages fit them again.

    Args:
        detector: With the parameters frozen that stay as they are.
        stage: What is about to learn, for the log.
        unfreezes: Whether frozen stages of the backbone will learn later.
    """
    region = getattr(detector, "region", None)
    if not isinstance(region, RegionClassifier) or region.fitted is None:
        return
    rest = [part for name, part in detector.named_children() if name != "region"]
    features = unfreezes or any(_learns(part) for part in rest)
    hidden = features or _learns(region.head)
    boxes = features if region.fitted.config.boxes_from == "pooled" else hidden
    forgotten = region.fitted.forget(svm=hidden, boxes=boxes)
    if forgotten:
        log.info("%s: what was fitted before (%s) is passed over until it is fitted again", stage, ", ".join(forgotten))


def _learns(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())
