"""Backbones with their published heads: ImageNet classifiers."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from detkit.backbones.config import BackboneConfig
from detkit.backbones.loading import find_weights
from detkit.backbones.registry import TIMM, backbone_info
from detkit.weights.read import read_tensors

_COUNTER = "num_batches_tracked"


class PublishedClassifier(nn.Module):
    """An image classifier with the padding that it was published with.

    Its state dict, with the prefix ``network.`` removed, can be loaded into the backbone of the same name.

    Args:
        name: Of the backbone.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        info = backbone_info(name)
        self.name, self.input_size = name, info.input_size
        self.network = library_network(name)
        for buffer, numbers in (("mean", info.mean), ("std", info.std)):
            self.register_buffer(buffer, torch.tensor(numbers).reshape(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(B, classes)`` of images ``(B, 3, H, W)``, RGB in [0, 1], not yet normalized."""
        logits: Tensor = self.network((images - self.mean) / self.std)
        return logits


def published_classifier(name: str, weights: str | None = "default", folder: str | Path | None = None) -> PublishedClassifier:
    """Build the classifier of this name in eval mode, with its published weights.

    Args:
        name: A name from ``detkit models list --kind backbone``.
        weights: As in :class:`detkit.backbones.BackboneConfig`; None: random weights.
        folder: The first folder in which weights are searched.

    Raises:
        ValueError: If the backbone was published without a classifier, or the file does not fit.
        FileNotFoundError: If the weights are not on this machine; the message explains how to get them.
    """
    created = PublishedClassifier(name).eval()
    if weights is not None:
        source = find_weights(name, weights, folder)
        tensors = read_tensors(source)
        if not set(tensors) & set(created.network.state_dict()):
            with torch.device("meta"):
                tensors = BackboneConfig(name=name).build().rename_published(tensors)
        own = created.network.state_dict()
        wrong = [key for key, tensor in tensors.items() if key not in own or own[key].shape != tensor.shape]
        wrong += [key for key in own if key not in tensors and not key.endswith(_COUNTER)]
        if wrong:
            raise ValueError(
                f"weights {source}: expected the tensors of {name}, got {len(wrong)} that do not match: {', '.join(wrong[:4])}"
            )
        # Only batch counters can be missing now; old files do not have them.
        created.network.load_state_dict(tensors, strict=False)
    return created


def has_network(name: str) -> bool:
    """Return whether a backbone was published as a classifier; others were published with a detector, or by another package."""
    return name.startswith(TIMM) or hasattr(_module(name), "network")


def library_network(name: str, *, any_size: bool = False) -> nn.Module:
    """Build the published network of a backbone, including its head, with random weights.

    Args:
        name: Of the backbone.
        any_size: Let vision transformers take images of any size, with interpolated position embeddings.

    Raises:
        ValueError: If it was published with a detector or by another package, and has no classifier.
    """
    if not has_network(name):
        raise ValueError(f"backbone {name}: it has no classifier; choose one with ImageNet weights (`detkit models list --kind backbone`)")
    options: dict[str, Any] = {}
    if any_size and (name.startswith(TIMM) or hasattr(_module(name), "VisionTransformer")):
        options = {"dynamic_img_size": True, "dynamic_img_pad": True}
    if name.startswith(TIMM):
        import timm

        plain = backbone_info(name).family == "VisionTransformer"  # also reports a wrong name
        created: nn.Module = timm.create_model(name.removeprefix(TIMM), **(options if plain else {}))
        return created
    network: nn.Module = _module(name).network(name, **options)
    return network


def _module(name: str) -> Any:
    info = backbone_info(name)
    return importlib.import_module(info.factory.partition(":")[0]) if info.factory else None
