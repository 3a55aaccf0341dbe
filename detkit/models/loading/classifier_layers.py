"""Initialization of a region head from the last layers of an ImageNet classifier."""

from __future__ import annotations

import logging

from torch import Tensor, nn

from detkit.backbones import Backbone, BackboneConfig, load_backbone_weights
from detkit.backbones.loading import LoadedBackbone
from detkit.heads.region.layers import ConvPool, TwoFC
from detkit.models.detector import Detector
from detkit.models.regions import has_regions
from detkit.weights.read import read_tensors

_log = logging.getLogger(__name__)

FULLY_CONNECTED = (("classifier.0", "classifier.3"), ("classifier.1", "classifier.4"), ("fc6", "fc7"))
"""Names of the two layers in files of VGG16 (torchvision), of AlexNet (torchvision), and of others."""
CONVOLUTION = ("conv_head", "bn2")
"""Names of EfficientNet's last convolution and its norm in timm."""
CLASSIFIER = "classifier"
"""Name of EfficientNet's last layer in timm."""


def load_with_head(detector: Detector, config: BackboneConfig) -> LoadedBackbone:
    """Load the weights that the backbone's config names into the backbone, and into the region head if there is one.

    Raises:
        FileNotFoundError: If the weights are not on this machine; the message gives the command that fetches them.
    """
    loaded: LoadedBackbone = load_backbone_weights(detector.backbone, config)
    if loaded.source is not None and has_regions(detector) and isinstance(detector.region.head, (ConvPool, TwoFC)):
        load_head(detector.region.head, detector.backbone, loaded)
    return loaded


def load_head(head: nn.Module, backbone: Backbone, loaded: LoadedBackbone) -> bool:
    """Load the layers of a classifier into a region head, in place, from the file that the backbone was loaded from.

    A file without such layers, or with layers of other shapes, leaves the head as initialized.

    Returns:
        Whether the head was loaded.
    """
    if loaded.source is None:
        return False
    tensors = backbone.rename_published(read_tensors(loaded.source))
    layers = next((tensors_of_head for tensors_of_head in _candidates(head, tensors) if _matches_head(head, tensors_of_head)), None)
    if layers is None:
        _log.info("region head: from scratch")
        return False
    head.load_state_dict(layers, strict=False)
    _log.info("region head: loaded from %s", loaded.source)
    return True


def _candidates(head: nn.Module, tensors: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """Return the tensors under the head's names, once for each naming scheme of files."""
    if isinstance(head, ConvPool):
        return [_renamed(tensors, dict(zip(CONVOLUTION, ("conv", "norm"), strict=True)))]
    if isinstance(head, TwoFC):
        return [_renamed(tensors, dict(zip(names, ("fc6", "fc7"), strict=True))) for names in FULLY_CONNECTED]
    return []


def _renamed(tensors: dict[str, Tensor], names: dict[str, str]) -> dict[str, Tensor]:
    renamed = {}
    for name, tensor in tensors.items():
        layer, _, part = name.rpartition(".")
        if layer in names and part != "num_batches_tracked":
            renamed[f"{names[layer]}.{part}"] = tensor
    return renamed


def _matches_head(head: nn.Module, tensors: dict[str, Tensor]) -> bool:
    own = head.state_dict()
    return own.keys() == tensors.keys() and all(own[name].shape == tensor.shape for name, tensor in tensors.items())
