"""Apply the protocol of a comparison to the config of a training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from detkit.comparison.plan import Init, Protocol
from detkit.config import apply_overrides
from detkit.data import DataConfig
from detkit.experiment.config import Experiment
from detkit.weights import EMBEDDED

EMBEDDED_BACKBONE = "efficientnet_lite0"
"""The backbone of the detector inside the package, which was trained on COCO's classes."""
SAVE_MINUTES = 2.0
"""Minutes between two writes of the resumable state."""


def under_protocol(config: Experiment, protocol: Protocol, overrides: Sequence[str] = (), name: str | None = None) -> Experiment:
    """Return the config of a training under the protocol, without its data, seed and folder.

    The keys of the protocol come first, then those that a user set for all, then those of one entry.

    Raises:
        ConfigError: If a key or a value is invalid.
        ValueError: If the model cannot have the initial weights or the backbone of the protocol.
    """
    training = config.training.replace(
        steps=protocol.steps, epochs=None, budget=protocol.budget, schedule_by="auto", threads=1, save_minutes=SAVE_MINUTES
    )
    config = config.replace(data=DataConfig(), output=None, seed=0, training=training, name=name or config.name)
    if protocol.backbone is not None:
        config = _with_backbone(config, weights="default", frozen_stages=_backbone_of(config).frozen_stages, name=protocol.backbone)
    if protocol.init is not None:
        config = with_init(config, protocol.init)
    changed = apply_overrides(config, [*protocol.overrides, *overrides])
    if protocol.backbone is not None or changed.model != config.model:
        _check_model(changed)
    return changed


def with_init(config: Experiment, init: Init) -> Experiment:
    """Return the config with other initial weights.

    Raises:
        ValueError: If there are no weights from COCO for its backbone, or its model has no backbone.
    """
    backbone = _backbone_of(config)
    if init == "scratch":
        norm = "auto" if backbone.norm == "frozen" else backbone.norm
        return _with_backbone(config.replace(weights=None), weights=None, frozen_stages=0, norm=norm)
    config = config if backbone.weights is not None else _with_backbone(config, weights="default")
    if init == "imagenet":
        return config.replace(weights=None)
    if backbone.name != EMBEDDED_BACKBONE:
        raise ValueError(
            f"--init coco: {config.name} has the backbone {backbone.name}, and only weights for {EMBEDDED_BACKBONE} are inside the "
            f"package; name others with {config.name}:weights=NAME from `detkit models list`"
        )
    return config.replace(weights=EMBEDDED)


def _backbone_of(config: Experiment) -> Any:
    backbone = getattr(config.model, "backbone", None)
    if backbone is None:
        raise ValueError(f"{config.name}: a {config.model.kind} has no backbone of its own, so --init and --backbone do not apply to it")
    return backbone


def _with_backbone(config: Experiment, **values: Any) -> Experiment:
    model: Any = config.model
    return config.replace(model=model.replace(backbone=_backbone_of(config).replace(**values)))


def _check_model(config: Experiment) -> None:
    """Build the model once, so that parts that do not fit are reported before anything is trained.

    Raises:
        ValueError: If they do not fit; the message names the config.
    """
    try:
        config.model.build(2)
    except (ValueError, KeyError) as error:
        raise ValueError(f"{config.name}: {error}") from None
