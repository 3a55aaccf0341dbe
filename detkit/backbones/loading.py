"""Loading published weights, or the user's own file, into a backbone."""

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
_RUN_FILES = ("best.safetensors", "last.safetensors")
_FROM_SCRATCH = "; model.backbone.weights=none trains from scratch"


@dataclass(frozen=True)
class LoadedBackbone:
    """The result of loading weights into a backbone.

    Attributes:
        source: The file, or None where the backbone starts from scratch.
        unused_names: Names in the file that the backbone does not have: a classifier's head, stages after the last map.
    """

    source: Path | None
    unused_names: tuple[str, ...] = ()


def load_backbone_weights(backbone: Backbone, config: BackboneConfig, folder: str | Path | None = None) -> LoadedBackbone:
    """Load the weights that ``config.weights`` names into ``backbone``, in place; it stays random only where that is None.

    Raises:
        FileNotFoundError: If the file is not found. The message gives the command, the address, the folder, and how to train without it.
        ValueError: If the file does not fit the backbone; then nothing is loaded.
    """
    _log.info("backbone %s: %s", backbone.name, backbone.frozen_summary())
    if config.weights is None:
        _log.info("backbone %s: from scratch", backbone.name)
        return LoadedBackbone(None)
    source = find_weights(backbone.name, config.weights, folder)
    tensors = backbone.fit_colors(backbone.rename_published(_backbone_tensors(read_tensors(source))))
    unused_names = _find_unused(backbone, tensors, source)
    fitting = {name: tensor for name, tensor in tensors.items() if name not in unused_names}
    # Only num_batches_tracked can be missing or unexpected here; frozen norms do not have it.
    backbone.load_state_dict(fitting, strict=False)
    _log.info("backbone %s: loaded %s%s", backbone.name, source, f"; not used: {', '.join(unused_names)}" if unused_names else "")
    return LoadedBackbone(source, unused_names)


def find_weights(backbone: str, name: str, folder: str | Path | None = None) -> Path:
    """Return the file for ``default``, a name in the catalog of weights, or a path.

    Raises:
        FileNotFoundError: If the file is not found.
        ValueError: If no weights are known, or the file is not the published one.
    """
    entries = [entry.name for entry in weights.catalog() if entry.kind == "backbone" and entry.model == backbone]
    if name == "default":
        if not entries:
            raise ValueError(f"backbone {backbone}: no published weights are known; pass a file as model.backbone.weights{_FROM_SCRATCH}")
        name = entries[0]
    elif Path(name).is_file():
        return Path(name)
    elif checkpoint := next((path for file in _RUN_FILES if (path := Path(name) / file).is_file()), None):
        return checkpoint
    elif name not in entries:
        known = f"one of {', '.join(entries)}, a file or a run's folder" if entries else "a file or a run's folder"
        raise FileNotFoundError(f"model.backbone.weights={name}: expected {known} for {backbone}; there is no such file{_FROM_SCRATCH}")
    try:
        return weights.resolve(name, folder)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}{_FROM_SCRATCH}") from None


def _backbone_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the backbone's tensors of a detkit checkpoint of a classifier or detector; other files are returned unchanged."""
    nested = {name.partition(".backbone.")[2]: tensor for name, tensor in tensors.items() if name.startswith("neck.")}
    nested = {name: tensor for name, tensor in nested.items() if name}
    if not nested:
        return tensors
    nested = {name.removeprefix("network."): tensor for name, tensor in nested.items()}
    pooled = {name.removeprefix("backbone."): tensor for name, tensor in nested.items() if name.startswith("backbone.")}
    return pooled or nested


def _find_unused(backbone: Backbone, tensors: dict[str, Tensor], source: Path) -> tuple[str, ...]:
    """Return the names not to load, after checking that all others match in name and shape."""
    own = backbone.state_dict()
    foreign = [name for name in tensors if name not in own and not name.endswith(_COUNTER)]
    # Group norms have the names of batch norms, but no statistics.
    unused_names = tuple(name for name in foreign if name.startswith(backbone.unused_prefixes) or name.endswith(_STATISTICS))
    unknown = [name for name in foreign if name not in unused_names]
    missing = [name for name in own if name not in tensors and not name.endswith(_COUNTER) and not name.startswith(backbone.new_prefixes)]
    if unknown or missing:
        errors = [
            f"{len(names)} {word} ({', '.join(names[:3])}...)" for names, word in ((missing, "missing"), (unknown, "unknown")) if names
        ]
        raise ValueError(
            f"weights {source}: expected the tensors of {backbone.name}, got {' and '.join(errors)}: they are of another network"
        )
    for name, tensor in own.items():
        if name in tensors and tensors[name].shape != tensor.shape:
            raise ValueError(
                f"weights {source}: {name}: expected shape {tuple(tensor.shape)} for {backbone.name}, got {tuple(tensors[name].shape)}"
            )
    return unused_names
