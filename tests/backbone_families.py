"""The backbones that stand for their families in tests that need not build every size."""

from __future__ import annotations

from detkit.backbones import BACKBONES, backbone_info


def smallest_of_each_family() -> list[str]:
    """Return the name of the smallest backbone of each family, sorted."""
    by_family: dict[str, str] = {}
    for name in sorted(BACKBONES.names(), key=lambda name: backbone_info(name).parameters):
        by_family.setdefault(backbone_info(name).family, name)
    return sorted(by_family.values())
