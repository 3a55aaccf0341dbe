"""Filling a backbone with published weights, or with a file of the user's."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from detkit import weights
from detkit.backbones.backbone import Backbone
from detkit.backbones.config import BackboneConfig
from detkit.weights.read import read_tensors

_log = logging.getLogger(__name__)
_COUNTER = "num_batches_tracked"
_STATISTICS = ("running_mean", "running_var")
_KEPT = ("best.safetensors", "last.safetensors")
_FROM_SCRATCH = "; model.backbone.weights=none trains from scratch"


@dataclass(frozen=True)
class LoadedBackbone:
    """What came of filling a backbone.

    Attributes:
        source: The file, or None where the backbone starts from scratch.
        left_over: Names in the file that the backbone has no use for: a classifier's head, stages behind the last map.
    """

    source: Path | None
    left_over: tuple[str, ...] = ()


def load_backbone_weights(backbone: Backbone, config: BackboneConfig, folder: str | Path | None = None) -> LoadedBackbone:
    """Fill ``backbone`` with what ``config.weights`` names, in place; a random start only where the config says none.

    Raises:
        FileNotFoundError: the file is not here; the message has the command, the address, the folder, and the way without.
        ValueError: the file does not fit the backbone; nothing was loaded.
    """
    _log.info("backbone %s: %s", backbone.name, backbone.frozen_spoken())
    if config.weights is None:
        _log.info("backbone %s: from scratch", backbone.name)
        return LoadedBackbone(None)
    source = find_weights(backbone.name, config.weights, folder)
    tensors = backbone.published_names(_of_backbone(read_tensors(source)))
    left_over = _left_over(backbone, tensors, source)
    fitting = {name: tensor for name, tensor in tensors.items() if name not in left_over}
    # Only num_batches_tracked can be missing or too many here, which frozen norms do not have.
    backbone.load_state_dict(fitting, strict=False)
    _log.info("backbone %s: filled from %s%s", backbone.name, source, f"; left over: {', '.join(left_over)}" if left_over else "")
    return LoadedBackbone(source, left_over)


def find_weights(backbone: str, name: str, folder: str | Path | None = None) -> Path:
    """The file that ``default``, a name of the catalog or a path stands for.

    Raises:
        FileNotFoundError: it is not here.
        ValueError: no weights are known, or the file is another one.
    """
    entries = [entry.name for entry in weights.catalog() if entry.kind == "backbone" and entry.model == backbone]
    if name == "default":
        if not entries:
            raise ValueError(f"backbone {backbone}: no published weights are known; give a file as model.backbone.weights{_FROM_SCRATCH}")
        name = entries[0]
    elif Path(name).is_file():
        return Path(name)
    elif found := next((path for kept in _KEPT if (path := Path(name) / kept).is_file()), None):
        return found
    elif name not in entries:
        known = f"one of {', '.join(entries)}, a file or a run's folder" if entries else "a file or a run's folder"
        raise FileNotFoundError(f"model.backbone.weights={name}: expected {known} for {backbone}; there is no such file{_FROM_SCRATCH}")
    try:
        return weights.resolve(name, folder)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}{_FROM_SCRATCH}") from None


def _of_backbone(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The backbone's tensors out of a checkpoint of ours, a classifier's or a detector's; other files pass as they are."""
    inside = {name.partition(".backbone.")[2]: tensor for name, tensor in tensors.items() if name.startswith("neck.")}
    inside = {name: tensor for name, tensor in inside.items() if name}
    if not inside:
        return tensors
    inside = {name.removeprefix("network."): tensor for name, tensor in inside.items()}
    pooled = {name.removeprefix("backbone."): tensor for name, tensor in inside.items() if name.startswith("backbone.")}
    return pooled or inside


def _left_over(backbone: Backbone, tensors: dict[str, Tensor], source: Path) -> tuple[str, ...]:
    """The names to leave out, after the rest was found to fit name by name and shape by shape."""
    own = backbone.state_dict()
    foreign = [name for name in tensors if name not in own and not name.endswith(_COUNTER)]
    # Group norms have the names of batch norms, and no statistics.
    left_over = tuple(name for name in foreign if name.startswith(backbone.left_out) or name.endswith(_STATISTICS))
    unknown = [name for name in foreign if name not in left_over]
    missing = [name for name in own if name not in tensors and not name.endswith(_COUNTER) and not name.startswith(backbone.fresh)]
    if unknown or missing:
        what = [f"{len(names)} {word} ({', '.join(names[:3])}...)" for names, word in ((missing, "missing"), (unknown, "unknown")) if names]
        raise ValueError(f"weights {source}: expected the tensors of {backbone.name}, got {' and '.join(what)}: they are another network's")
    for name, tensor in own.items():
        if name in tensors and tensors[name].shape != tensor.shape:
            raise ValueError(
                f"weights {source}: {name}: expected shape {tuple(tensor.shape)} for {backbone.name}, got {tuple(tensors[name].shape)}"
            )
    return left_over
