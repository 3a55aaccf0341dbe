"""What is known about each backbone: plain data, so that listing it imports neither torch nor timm."""

from __future__ import annotations

from collections.abc import Mapping

from detkit import weights
from detkit.backbones.known import KNOWN
from detkit.backbones.known.fact import IMAGENET_MEAN, IMAGENET_STD, BackboneFacts, Level, Numbers
from detkit.backbones.table import BACKBONES

__all__ = ["FACTS", "IMAGENET_MEAN", "IMAGENET_STD", "BackboneFacts", "Level", "Numbers", "describe", "facts_of"]

FACTS: Mapping[str, BackboneFacts] = {facts.name: facts for facts in KNOWN}


def facts_of(name: str) -> BackboneFacts:
    """The facts of a backbone of this package, or those that another package's function carries as ``.facts``.

    Raises:
        ValueError: there is no such backbone, or nothing is known about it.
    """
    if name in FACTS:
        return FACTS[name]
    found = getattr(BACKBONES.get(name), "facts", None)
    if not isinstance(found, BackboneFacts):
        raise ValueError(f"backbone {name}: its function has no .facts of class BackboneFacts; ask its package")
    return found


def describe() -> list[dict[str, str]]:
    """A row for each backbone, in words, for a table; imports nothing heavy.

    Backbones of other packages have only a name: knowing more would mean importing them.
    """
    empty = dict.fromkeys(_row(KNOWN[0]), "")
    return [_row(FACTS[name]) if name in FACTS else {**empty, "name": name, "source": "another package"} for name in BACKBONES.names()]


def _row(facts: BackboneFacts) -> dict[str, str]:
    entries = [entry for entry in weights.catalog() if entry.kind == "backbone" and entry.model == facts.name]
    return {
        "name": facts.name,
        "family": f"{facts.family} ({facts.year})",
        "levels": ", ".join(f"{level.name} {level.channels}/{level.stride}" for level in facts.levels),
        "input": str(facts.input_size),
        "normalization": f"mean {_spoken(facts.mean)}, std {_spoken(facts.std)}",
        "parameters": f"{facts.parameters / 1e6:.1f} M",
        "gflops": f"{facts.gflops:.2f}",
        "weights": ", ".join(entry.name for entry in entries),
        "license": "; ".join(dict.fromkeys(entry.license for entry in entries)),
        "top1": ", ".join(f"{entry.figures['top-1']:.1f}" if "top-1" in entry.figures else weights.NOT_STATED for entry in entries),
        "paper": facts.paper,
        "source": facts.source,
    }


def _spoken(numbers: Numbers) -> str:
    return " ".join(f"{number:.3f}" for number in dict.fromkeys(numbers))
