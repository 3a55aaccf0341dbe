"""Backbones with the heads they were published with: classifiers of whole images."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from detkit.backbones.config import BackboneConfig
from detkit.backbones.facts import facts_of
from detkit.backbones.loading import find_weights
from detkit.backbones.table import TIMM
from detkit.weights.read import read_tensors

_COUNTER = "num_batches_tracked"


class Classifier(nn.Module):
    """A network that says which class a image shows; its maps stand behind the borders that it was published with.

    Its state dict (``network.`` taken off) fills the backbone of the same name.

    Args:
        name: Of the backbone.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        facts = facts_of(name)
        self.name, self.input_size = name, facts.input_size
        self.network = library_network(name)
        for what, numbers in (("mean", facts.mean), ("std", facts.std)):
            self.register_buffer(what, torch.tensor(numbers).reshape(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(B, classes)`` of images ``(B, 3, H, W)``, RGB in [0, 1], not normalized yet."""
        logits: Tensor = self.network((images - self.mean) / self.std)
        return logits


def classifier(name: str, weights: str | None = "default", folder: str | Path | None = None) -> Classifier:
    """The classifier of this name in eval mode, filled with its published weights.

    Args:
        name: A name out of ``detkit info backbones``.
        weights: As in :class:`detkit.backbones.BackboneConfig`; None: random numbers.
        folder: Where weights are looked for first.

    Raises:
        ValueError: it comes without a classifier, or the file does not fit.
        FileNotFoundError: the weights are not on this machine; the message says how to get them.
    """
    made = Classifier(name).eval()
    if weights is not None:
        source = find_weights(name, weights, folder)
        tensors = read_tensors(source)
        if not set(tensors) & set(made.network.state_dict()):
            with torch.device("meta"):
                tensors = BackboneConfig(name=name).build().published_names(tensors)
        own = made.network.state_dict()
        wrong = [key for key, tensor in tensors.items() if key not in own or own[key].shape != tensor.shape]
        wrong += [key for key in own if key not in tensors and not key.endswith(_COUNTER)]
        if wrong:
            raise ValueError(f"weights {source}: expected the tensors of {name}, got {len(wrong)} amiss: {', '.join(wrong[:4])}")
        # Only counters can be missing now, which old files do not have.
        made.network.load_state_dict(tensors, strict=False)
    return made


def has_network(name: str) -> bool:
    """Whether a backbone was published as a classifier; others came with a detector, or from another package."""
    return name.startswith(TIMM) or hasattr(_module(name), "network")


def library_network(name: str, *, any_size: bool = False) -> nn.Module:
    """The published network of a backbone, head and all, with random numbers.

    Args:
        name: Of the backbone.
        any_size: Let vision transformers take images of any size, by interpolated position embeddings.

    Raises:
        ValueError: it came with a detector, or from another package, and never was a classifier.
    """
    if not has_network(name):
        raise ValueError(f"backbone {name}: it has no classifier; choose one whose weights are ImageNet's (`detkit info backbones`)")
    choices: dict[str, Any] = {}
    if any_size and (name.startswith(TIMM) or hasattr(_module(name), "VisionTransformer")):
        choices = {"dynamic_img_size": True, "dynamic_img_pad": True}
    if name.startswith(TIMM):
        import timm

        plain = facts_of(name).family == "VisionTransformer"  # asking tells in words what is wrong with a name
        found: nn.Module = timm.create_model(name.removeprefix(TIMM), **(choices if plain else {}))
        return found
    made: nn.Module = _module(name).network(name, **choices)
    return made


def _module(name: str) -> Any:
    facts = facts_of(name)
    return importlib.import_module(facts.made_by.partition(":")[0]) if facts.made_by else None
