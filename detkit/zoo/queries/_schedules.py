"""Settings that the published recipes of RT-DETR, D-FINE and DEIM share."""

from __future__ import annotations

from typing import Any, TypeVar

from detkit.config_classes import AugmentationConfig, EMAConfig, EMARestartConfig, MultiScaleConfig, QueryLossConfig
from detkit.models.rtdetr import QueryDetectorConfig

Model = TypeVar("Model", bound=QueryDetectorConfig)


def augmentation_until(stop: float) -> AugmentationConfig:
    """Return RT-DETR's augmentation, without its strong changes from the fraction ``stop`` of the training on."""
    return _between(AugmentationConfig(preset="rtdetr"), ("photometric", "zoom_out", "crop"), (0.0, stop))


def dense_augmentation(start: float, mix_until: float, stop: float) -> AugmentationConfig:
    """Return DEIM's augmentation: strong changes from ``start`` to ``stop``, mosaic and mixup from ``start`` to ``mix_until``."""
    strong = _between(AugmentationConfig(preset="deim"), ("photometric", "zoom_out", "crop"), (start, stop))
    return _between(strong, ("mosaic", "mixup"), (start, mix_until))


def with_dense_matching(model: Model) -> Model:
    """Return a model as DEIM trains it: with the matchability-aware loss and nothing frozen."""
    return model.replace(
        backbone=model.backbone.replace(norm="train", frozen_stages=0),
        head=model.head.replace(losses=QueryLossConfig(class_loss="matchability", alpha=None, gamma=1.5)),
    )


def linear_warmup(steps: int) -> dict[str, Any]:
    """Return the settings of a warm-up in which step ``i``, from 1, has ``i / steps`` of the learning rate."""
    return {"warmup_steps": steps - 1, "warmup_fraction": 1.0, "warmup_start": 1 / steps}


def restarted_ema(stop: float, *, decay: float = 0.9999, warmup_steps: int = 1000) -> EMAConfig:
    """Return D-FINE's average of the weights, from whose best evaluation the training continues at the fraction ``stop``."""
    return EMAConfig(decay=0.9999, warmup_steps=warmup_steps, restart=EMARestartConfig(at=stop, decay=decay))


def scales(repeat: int, stop: float = 1.0) -> MultiScaleConfig:
    """Return batches of 480 to 800 pixels, ``repeat`` times as often 640 as another size, until the fraction ``stop``."""
    return MultiScaleConfig(
        min_size=480, max_size=800, divisor=32, every_steps=1, base_size=640, base_size_repeat=repeat, between=(0.0, stop)
    )


def _between(augmentation: AugmentationConfig, names: tuple[str, ...], span: tuple[float, float]) -> AugmentationConfig:
    return augmentation.replace(**{name: getattr(augmentation, name).replace(between=span) for name in names})
