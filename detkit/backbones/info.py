"""Static information on each backbone: plain data, so that listing backbones imports neither torch nor timm."""

from __future__ import annotations

from collections.abc import Mapping

from detkit import weights
from detkit.backbones.catalog import CATALOG
from detkit.backbones.catalog.entry import IMAGENET_MEAN, IMAGENET_STD, BackboneInfo, Level, Numbers
from detkit.backbones.table import BACKBONES

__all__ = ["BACKBONE_INFO", "IMAGENET_MEAN", "IMAGENET_STD", "BackboneInfo", "Level", "Numbers", "backbone_info", "describe_backbones"]

BACKBONE_INFO: Mapping[str, BackboneInfo] = {info.name: info for info in CATALOG}


def backbone_info(name: str) -> BackboneInfo:
    """Return the information on a backbone of this package, or the ``.info`` of another package's factory function.

    Raises:
        ValueError: If there is no such backbone, or no information on it.
    """
    if name in BACKBONE_INFO:
        return BACKBONE_INFO[name]
    info = getattr(BACKBONES.get(name), "info", None)
    if not isinstance(info, BackboneInfo):
        raise ValueError(f"backbone {name}: its function has no attribute .info of class BackboneInfo; ask the authors of its package")
    return info


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
