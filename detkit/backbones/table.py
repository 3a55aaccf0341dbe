"""The table of backbones that a person can name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from detkit.backbones.known import KNOWN
from detkit.registry import Registry

TIMM = "timm/"
"""What the names of timm's other networks begin with."""


class BackboneRegistry(Registry):
    """The table, and behind it by ``timm/NAME`` whatever else timm can take maps from; such names are not listed."""

    def __contains__(self, name: str) -> bool:
        return name.startswith(TIMM) or super().__contains__(name)

    def get(self, name: str) -> Callable[..., Any]:
        """See :meth:`Registry.get`."""
        if not name.startswith(TIMM):
            return super().get(name)
        from detkit.backbones.any_timm import facts_of_timm, make

        made: Any = partial(make, name)
        made.facts = facts_of_timm(name)
        return made  # type: ignore[no-any-return]


BACKBONES = BackboneRegistry("backbone", "detkit.backbones", {facts.name: facts.made_by for facts in KNOWN})
"""Each entry is a function ``make(*, levels, norm, norm_eps) -> Backbone``; see :class:`detkit.backbones.BackboneConfig` for the three."""
