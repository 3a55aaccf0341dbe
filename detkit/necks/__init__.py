"""What stands between a backbone and its heads: each wraps a backbone and is itself one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from detkit.lazy import lazily
from detkit.necks.config import FPNConfig, LightPANConfig, PANConfig, SingleLevelConfig

if TYPE_CHECKING:
    from detkit.necks.fpn import FPN
    from detkit.necks.pan import PAN
    from detkit.necks.single_level import SingleLevel

NeckConfig = Annotated[FPNConfig | SingleLevelConfig | PANConfig | LightPANConfig, Field(discriminator="kind")]

__all__ = ["FPN", "PAN", "FPNConfig", "LightPANConfig", "NeckConfig", "PANConfig", "SingleLevel", "SingleLevelConfig"]

# What needs torch is imported when it is asked for.
__getattr__ = lazily(__name__, {".fpn": ("FPN",), ".pan": ("PAN",), ".single_level": ("SingleLevel",)})
