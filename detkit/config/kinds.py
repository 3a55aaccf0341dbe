"""A field that holds one of several config classes, selected by ``kind`` through a registry."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny

from detkit.registry import Registry, did_you_mean


class ByKind:
    """Converts a dict (from JSON) to the config class that its ``kind`` names; instances are returned unchanged."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def default(self, kind: str) -> Any:
        """Return a config of the class that ``kind`` names, with that class's defaults.

        Raises:
            ValueError: If there is no such kind.
        """
        return self.registry.get(kind)()

    def __call__(self, value: Any) -> Any:
        """Convert a value; pydantic calls this before it validates the field."""
        if not isinstance(value, dict):
            return value
        kind = str(value.get("kind"))
        if kind not in self.registry:
            raise ValueError(f"unknown {self.registry.noun} kind {kind!r}: {did_you_mean(kind, self.registry.names())}")
        return self.registry.get(kind).from_json(json.dumps(value))  # type: ignore[attr-defined]


def one_of_kinds(base: type, registry: Registry) -> Any:
    """Return the annotation of a field that accepts any subclass of ``base`` in ``registry``, listed under its ``kind``.

    The classes are imported on demand, and other packages can add their own through the registry.
    """
    return Annotated[SerializeAsAny[base], BeforeValidator(ByKind(registry))]  # type: ignore[valid-type, misc]
