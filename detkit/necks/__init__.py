"""What stands between a backbone and its heads: each wraps a backbone and is itself one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from detkit.necks.config import FPNConfig, LightPANConfig, PANConfig, SingleLevelConfig

if TYPE_CHECKING:
    from detkit.necks.fpn import FPN
    from detkit.necks.pan import PAN
    from detkit.necks.single_level import SingleLevel

NeckConfig = Annotated[FPNConfig | SingleLevelConfig | PANConfig | LightPANConfig, Field(discriminator="kind")]

__all__ = ["FPN", "PAN", "FPNConfig", "LightPANConfig", "NeckConfig", "PANConfig", "SingleLevel", "SingleLevelConfig"]

_LAZY = {"FPN": "fpn", "PAN": "pan", "SingleLevel": "single_level"}


def __getattr__(name: str) -> Any:
    """Import what needs torch only when it is asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
