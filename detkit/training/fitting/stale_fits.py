"""Reset of fitted layers whose features change: a fit to features is invalid once these are trained further."""

from __future__ import annotations

import logging

from torch import nn

from detkit.heads.region.classifier import RegionClassifier

_log = logging.getLogger(__name__)


def reset_stale_fits(detector: nn.Module, stage: str, *, unfreezes: bool = False) -> None:
    """Disable the fitted layers whose input features are about to be trained, until their stages fit them again.

    Args:
        detector: The detector, with the parameters of the frozen parts frozen.
        stage: Name of the stage that is about to train it, for the log.
        unfreezes: Whether frozen stages of the backbone will be unfrozen later.
    """
    region = getattr(detector, "region", None)
    if not isinstance(region, RegionClassifier) or region.fitted is None:
        return
    rest = [part for name, part in detector.named_children() if name != "region"]
    features = unfreezes or any(_is_trainable(part) for part in rest)
    hidden = features or _is_trainable(region.head)
    boxes = features if region.fitted.config.boxes_from == "pooled" else hidden
    disabled = region.fitted.mark_unfitted(svm=hidden, boxes=boxes)
    if disabled:
        _log.info("%s: the earlier fits (%s) are disabled until they are fitted again", stage, ", ".join(disabled))


def _is_trainable(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())
