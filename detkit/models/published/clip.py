"""CLIP's released files as detectors of arbitrary classes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from detkit.backbones import BackboneConfig
from detkit.backbones.tower import ImageTower
from detkit.heads.contrastive import MAX_SCALE
from detkit.heads.text_classes import TextClassesConfig
from detkit.models.clip_rcnn import CLIPRCNNConfig
from detkit.models.published.conversion import Publication
from detkit.text import require_open_clip, text_tower

_log = logging.getLogger(__name__)


def clip_rcnn(backbone: str, dimensions: int, side: int = 224) -> Publication:
    """Return the publication of a CLIP released by OpenAI, applied to proposals of selective search.

    Args:
        backbone: Its image tower.
        dimensions: Dimensions of its embeddings.
        side: Side in pixels of its training images.
    """
    plain = CLIPRCNNConfig()
    text = TextClassesConfig(dimensions=dimensions, projection=False)
    network = BackboneConfig(name=backbone, weights=None, norm="frozen")
    return publication_for(plain.replace(backbone=network, region=plain.region.replace(text=text), warp_size=side))


def publication_for(config: CLIPRCNNConfig) -> Publication:
    """Return the publication of a complete CLIP as a detector with this config."""
    return Publication(config, (), _require_classes, for_classes=partial(_for_classes, config))


vit_b32 = partial(clip_rcnn, "vit_base_patch32_clip_quickgelu_224", 512)
vit_b16 = partial(clip_rcnn, "vit_base_patch16_clip_quickgelu_224", 512)
rn50 = partial(clip_rcnn, "resnet50_clip", 1024)
rn101 = partial(clip_rcnn, "resnet101_clip", 512)
rn50x4 = partial(clip_rcnn, "resnet50x4_clip", 640, 288)


def _require_classes(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    raise ValueError("expected classes to detect, got none")


def _for_classes(config: CLIPRCNNConfig, classes: Sequence[str]) -> Publication:
    """Return the publication for these phrases.

    Raises:
        ValueError: If a phrase is empty or given twice.
        ImportError: If open_clip is not installed.
    """
    invalid = [name for name in classes if not name.strip() or list(classes).count(name) > 1]
    if invalid:
        raise ValueError(f"classes: expected distinct, non-empty phrases, got {invalid[0]!r}{' twice' if invalid[0].strip() else ''}")
    require_open_clip()
    return Publication(config, tuple(classes), partial(convert, config, tuple(classes)))


def convert(config: CLIPRCNNConfig, classes: Sequence[str], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of the image tower, and compute the text embeddings of the classes and of background.

    Raises:
        ValueError: If the file is not a complete CLIP with this image tower.
    """
    text = config.region.text or TextClassesConfig()
    text_encoder = text_tower(tensors)
    with torch.device("meta"):
        tower = ImageTower(config.backbone, text.dimensions)
    renamed = {f"neck.backbone.{name}": tensor for name, tensor in tower.rename_published(tensors).items()}
    scale = tensors["logit_scale"].float().exp().clamp(max=MAX_SCALE) if "logit_scale" in tensors else torch.tensor(MAX_SCALE)
    logits = {"embeddings": text_encoder.embed(classes, text.templates), "scale": scale.reshape(())}
    logits["background"] = text_encoder.embed(text.background, text.templates)
    _log.info("classes: %s; phrases for background: %s", ", ".join(classes), ", ".join(text.background))
    return renamed | {f"region.predictor.logits.{name}": tensor for name, tensor in logits.items()}
