"""CLIP's released files as detectors of whatever is named."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from detkit.backbones import BackboneConfig
from detkit.backbones.tower import ImageTower
from detkit.heads.contrast import MAX_SCALE
from detkit.heads.text_classes import TextClassesConfig
from detkit.models.clip_rcnn import CLIPRCNNConfig
from detkit.models.published.load import Publication
from detkit.text import require_open_clip, text_tower

log = logging.getLogger(__name__)


def clip_rcnn(backbone: str, dimensions: int, side: int = 224) -> Publication:
    """A CLIP on proposals of selective search, as OpenAI released it.

    Args:
        backbone: Its image tower.
        dimensions: Of its embeddings.
        side: Pixels of the images that it was trained on.
    """
    plain = CLIPRCNNConfig()
    text = TextClassesConfig(dimensions=dimensions, projection=False)
    network = BackboneConfig(name=backbone, weights=None, norm="frozen")
    return of_config(plain.replace(backbone=network, region=plain.region.replace(text=text), warp_size=side))


def of_config(config: CLIPRCNNConfig) -> Publication:
    """How a file of a whole CLIP becomes a detector with this config."""
    return Publication(config, (), _nothing, named=partial(_named, config))


vit_b32 = partial(clip_rcnn, "vit_base_patch32_clip_quickgelu_224", 512)
vit_b16 = partial(clip_rcnn, "vit_base_patch16_clip_quickgelu_224", 512)
rn50 = partial(clip_rcnn, "resnet50_clip", 1024)
rn101 = partial(clip_rcnn, "resnet101_clip", 512)
rn50x4 = partial(clip_rcnn, "resnet50x4_clip", 640, 288)


def _nothing(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    raise ValueError("no phrases to look for")


def _named(config: CLIPRCNNConfig, classes: Sequence[str]) -> Publication:
    """The same for these phrases.

    Raises:
        ValueError: a phrase is empty, or there twice.
        ImportError: open_clip is not here.
    """
    wrong = [name for name in classes if not name.strip() or list(classes).count(name) > 1]
    if wrong:
        raise ValueError(f"classes: expected phrases that differ, got {wrong[0]!r}{' twice' if wrong[0].strip() else ''}")
    require_open_clip()
    return Publication(config, tuple(classes), partial(converted, config, tuple(classes)))


def converted(config: CLIPRCNNConfig, classes: Sequence[str], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The image tower under our names, and what the text tower says of the classes and of background.

    Raises:
        ValueError: the file is not of a whole CLIP with this image tower.
    """
    text = config.region.text or TextClassesConfig()
    phrases = text_tower(tensors)
    with torch.device("meta"):
        tower = ImageTower(config.backbone, text.dimensions)
    found = {f"neck.backbone.{name}": tensor for name, tensor in tower.published_names(tensors).items()}
    scale = tensors["logit_scale"].float().exp().clamp(max=MAX_SCALE) if "logit_scale" in tensors else torch.tensor(MAX_SCALE)
    logits = {"embeddings": phrases.embed(classes, text.templates), "scale": scale.reshape(())}
    logits["background"] = phrases.embed(text.background, text.templates)
    log.info("looking for: %s; what rather is one of these is background: %s", ", ".join(classes), ", ".join(text.background))
    return found | {f"region.predictor.logits.{name}": tensor for name, tensor in logits.items()}
