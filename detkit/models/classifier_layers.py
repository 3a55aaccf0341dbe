"""The layers of an ImageNet classifier behind its backbone, put into a region head of the same shape."""

from __future__ import annotations

import logging
from typing import Any

from torch import Tensor, nn

from detkit.backbones import Backbone, BackboneConfig, load_backbone_weights
from detkit.backbones.loading import LoadedBackbone
from detkit.heads.region import ConvPool, TwoFC
from detkit.weights.read import read_tensors

log = logging.getLogger(__name__)

FULLY_CONNECTED = (("classifier.0", "classifier.3"), ("classifier.1", "classifier.4"), ("fc6", "fc7"))
"""What the two layers are called in files of VGG16 (torchvision), of AlexNet (torchvision), and of others."""
CONVOLUTION = ("conv_head", "bn2")
"""What EfficientNet's last convolution and its norm are called in timm."""
CLASSIFIER = "classifier"
"""What EfficientNet's last layer is called in timm."""


def load_with_head(detector: Any, config: BackboneConfig) -> LoadedBackbone:
    """Fill a detector's backbone, and the head on its regions if it has one, with the weights that the backbone's config names.

    Raises:
        FileNotFoundError: the weights are not on this machine; the message says how to get them.
    """
    loaded: LoadedBackbone = load_backbone_weights(detector.backbone, config)
    head = getattr(getattr(detector, "region", None), "head", None)
    if loaded.source is not None and isinstance(head, (ConvPool, TwoFC)):
        fill_head(head, detector.backbone, loaded)
    return loaded


def fill_head(head: nn.Module, backbone: Backbone, loaded: LoadedBackbone) -> bool:
    """Fill a region head, in place, with the classifier's layers from the file that filled the backbone; whether it was.

    A file without them, or with layers of other shapes, leaves the head as it started.
    """
    if loaded.source is None:
        return False
    tensors = backbone.published_names(read_tensors(loaded.source))
    found = next((layers for layers in _candidates(head, tensors) if _fits(head, layers)), None)
    if found is None:
        log.info("region head: from scratch")
        return False
    head.load_state_dict(found, strict=False)
    log.info("region head: filled from %s", loaded.source)
    return True


def _candidates(head: nn.Module, tensors: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """The tensors under the head's names, for each way that a file may call them."""
    if isinstance(head, ConvPool):
        return [_renamed(tensors, dict(zip(CONVOLUTION, ("conv", "norm"), strict=True)))]
    if isinstance(head, TwoFC):
        return [_renamed(tensors, dict(zip(names, ("fc6", "fc7"), strict=True))) for names in FULLY_CONNECTED]
    return []


def _renamed(tensors: dict[str, Tensor], names: dict[str, str]) -> dict[str, Tensor]:
    found = {}
    for name, tensor in tensors.items():
        layer, _, part = name.rpartition(".")
        if layer in names and part != "num_batches_tracked":
            found[f"{names[layer]}.{part}"] = tensor
    return found


def _fits(head: nn.Module, found: dict[str, Tensor]) -> bool:
    own = head.state_dict()
    return own.keys() == found.keys() and all(own[name].shape == tensor.shape for name, tensor in found.items())
