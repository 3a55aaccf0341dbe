"""The registry of backbones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from detkit.backbones.catalog import CATALOG
from detkit.registry import Registry

TIMM = "timm/"
"""Prefix of the names of timm networks that are not in the catalog."""


class BackboneRegistry(Registry):
    """The catalog, and by ``timm/NAME`` any other timm network that returns feature maps; such names are not listed."""

    def __contains__(self, name: str) -> bool:
        return name.startswith(TIMM) or super().__contains__(name)

    def get(self, name: str) -> Callable[..., Any]:
        """See :meth:`Registry.get`."""
        if not name.startswith(TIMM):
            return super().get(name)
        from detkit.backbones.generic_timm import make, timm_info

        factory: Any = partial(make, name)
        factory.info = timm_info(name)
        return factory  # type: ignore[no-any-return]


BACKBONES = BackboneRegistry("backbone", "detkit.backbones", {info.name: info.factory for info in CATALOG})
"""Each entry is a function ``make(*, levels, norm, norm_eps) -> Backbone``; arguments as in :class:`detkit.backbones.BackboneConfig`."""
