"""Necks: networks over the maps of a backbone; each wraps a backbone and has the same interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from detkit.lazy import lazy_getattr
from detkit.necks.config import (
    ExtraLevelConfig,
    FPNConfig,
    HybridEncoderConfig,
    LightPANConfig,
    LiteEncoderConfig,
    PANConfig,
    SingleLevelConfig,
    SSDExtrasConfig,
    YOLOv1NeckConfig,
)

if TYPE_CHECKING:
    from detkit.necks.fpn import FPN
    from detkit.necks.hybrid_encoder import HybridEncoder
    from detkit.necks.lite_encoder import LiteEncoder
    from detkit.necks.pan import PAN
    from detkit.necks.single_level import SingleLevel

NeckConfig = Annotated[
    FPNConfig | SingleLevelConfig | PANConfig | LightPANConfig | HybridEncoderConfig | LiteEncoderConfig,
    Field(discriminator="kind"),
]

__all__ = [
    "FPN",
    "PAN",
    "ExtraLevelConfig",
    "FPNConfig",
    "HybridEncoder",
    "HybridEncoderConfig",
    "LightPANConfig",
    "LiteEncoder",
    "LiteEncoderConfig",
    "NeckConfig",
    "PANConfig",
    "SSDExtrasConfig",
    "SingleLevel",
    "SingleLevelConfig",
    "YOLOv1NeckConfig",
]

# Modules that need torch are imported on first access.
__getattr__ = lazy_getattr(
    __name__,
    {
        ".fpn": ("FPN",),
        ".hybrid_encoder": ("HybridEncoder",),
        ".lite_encoder": ("LiteEncoder",),
        ".pan": ("PAN",),
        ".single_level": ("SingleLevel",),
    },
)
