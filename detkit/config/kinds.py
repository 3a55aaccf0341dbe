"""A field that holds one of several config classes, told apart by ``kind`` through a registry."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny

from detkit.registry import Registry, did_you_mean


class ByKind:
    """Turns a dict (from JSON) into the config class that its ``kind`` names; instances pass as they are."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def default(self, kind: str) -> Any:
        """A config of the class that ``kind`` names, with that class's defaults.

        Raises:
            ValueError: there is no such kind.
        """
        return self.registry.get(kind)()

    def __call__(self, value: Any) -> Any:
        """What pydantic calls before it validates the field."""
        if not isinstance(value, dict):
            return value
        kind = str(value.get("kind"))
        if kind not in self.registry:
            raise ValueError(f"unknown {self.registry.what} kind {kind!r}: {did_you_mean(kind, self.registry.names())}")
        return self.registry.get(kind).from_json(json.dumps(value))  # type: ignore[attr-defined]


def one_of_kinds(base: type, registry: Registry) -> Any:
    """The annotation of a field that takes any subclass of ``base`` listed in ``registry`` under its ``kind``.

    The classes are imported when they are needed, and other packages can add theirs through the registry.
    """
    return Annotated[SerializeAsAny[base], BeforeValidator(ByKind(registry))]  # type: ignore[valid-type, misc]
