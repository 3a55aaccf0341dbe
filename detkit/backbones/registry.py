"""The registry of backbones, and the static information on each: listing backbones imports neither torch nor timm."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from detkit import weights
from detkit.backbones.catalog import CATALOG
from detkit.backbones.info import BackboneInfo, Numbers
from detkit.registry import Registry

TIMM = "timm/"
"""Prefix of the names of timm networks that are not in the catalog."""
_TIMM_INFO, _TIMM_FACTORY = "detkit.backbones.any_timm.maps", "detkit.backbones.any_timm.features"

BACKBONE_INFO: Mapping[str, BackboneInfo] = {info.name: info for info in CATALOG}


class BackboneRegistry(Registry):
    """The catalog, and by ``timm/NAME`` any other timm network that returns feature maps; such names are not listed."""

    def __contains__(self, name: str) -> bool:
        return name.startswith(TIMM) or super().__contains__(name)

    def get(self, name: str) -> Callable[..., Any]:
        """See :meth:`Registry.get`."""
        return partial(importlib.import_module(_TIMM_FACTORY).make, name) if name.startswith(TIMM) else super().get(name)


BACKBONES = BackboneRegistry("backbone", "detkit.backbones", {info.name: info.factory for info in CATALOG})
"""Each entry is a function ``make(*, levels, norm, norm_eps) -> Backbone``; arguments as in :class:`detkit.backbones.BackboneConfig`."""


def backbone_info(name: str) -> BackboneInfo:
    """Return the information on a backbone of this package, on ``timm/NAME``, or the ``.info`` of another package's factory function.

    Raises:
        ValueError: If there is no such backbone, or no information on it.
    """
    if name in BACKBONE_INFO:
        return BACKBONE_INFO[name]
    timm = importlib.import_module(_TIMM_INFO) if name.startswith(TIMM) else None
    info = getattr(BACKBONES.get(name), "info", None) if timm is None else timm.timm_info(name)
    if not isinstance(info, BackboneInfo):
        raise ValueError(f"backbone {name}: its function has no attribute .info of class BackboneInfo; ask the authors of its package")
    return info


def catalog_factories(module: str, make: Callable[..., Any]) -> Callable[[str], Callable[..., Any]]:
    """Return the ``__getattr__`` of a module whose backbones are all built by one function.

    Args:
        module: ``__name__`` of the module, which the factories of its backbones name in the catalog.
        make: Builds a backbone from its name and options.
    """

    def factory(name: str) -> Callable[..., Any]:
        if name not in BACKBONE_INFO or not BACKBONE_INFO[name].factory.startswith(f"{module}:"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return partial(make, name)

    return factory


def describe_backbones() -> list[dict[str, str]]:
    """Return one table row per backbone, as text, without importing anything heavy.

    Backbones of other packages have only a name: more information would require importing them.
    """
    empty = dict.fromkeys(_row(CATALOG[0]), "")
    return [
        _row(BACKBONE_INFO[name]) if name in BACKBONE_INFO else {**empty, "name": name, "source": "another package"}
        for name in BACKBONES.names()
    ]


def _row(info: BackboneInfo) -> dict[str, str]:
    entries = [entry for entry in weights.catalog() if entry.kind == "backbone" and entry.model == info.name]
    return {
        "name": info.name,
        "family": f"{info.family} ({info.year})",
        "levels": ", ".join(f"{level.name} {level.channels}/{level.stride}" for level in info.levels),
        "input": str(info.input_size),
        "normalization": f"mean {_format_numbers(info.mean)}, std {_format_numbers(info.std)}",
        "parameters": f"{info.parameters / 1e6:.1f} M",
        "gflops": f"{info.gflops:.2f}",
        "weights": ", ".join(entry.name for entry in entries),
        "license": "; ".join(dict.fromkeys(entry.license for entry in entries)),
        "top1": ", ".join(f"{entry.metrics['top-1']:.1f}" if "top-1" in entry.metrics else weights.NOT_STATED for entry in entries),
        "paper": info.paper,
        "source": info.source,
    }


def _format_numbers(numbers: Numbers) -> str:
    return " ".join(f"{number:.3f}" for number in dict.fromkeys(numbers))
