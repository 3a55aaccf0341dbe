"""CLIP's released files as classifiers of whole images and as detectors, of arbitrary classes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from detkit.backbones import BackboneConfig
from detkit.backbones.tower import ImageTower
from detkit.heads.text_classes import MAX_SCALE, TextClassesConfig, check_templates
from detkit.models.clip.classifier import CLIPConfig
from detkit.models.clip.rcnn import CLIPRCNNConfig
from detkit.models.published.conversion import Publication
from detkit.text import TextTower, require_open_clip, text_tower

_log = logging.getLogger(__name__)


def clip(backbone: str, dimensions: int, side: int = 224) -> Publication:
    """Return the publication of a CLIP released by OpenAI, as a classifier of whole images.

    Args:
        backbone: Its image tower.
        dimensions: Dimensions of its embeddings.
        side: Side in pixels of its training images.
    """
    plain = CLIPConfig()
    network = BackboneConfig(name=backbone, weights=None, norm="frozen")
    preprocess = plain.preprocess.replace(input_size=(side, side))
    return classifier_publication(plain.replace(backbone=network, dimensions=dimensions, preprocess=preprocess))


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


def classifier_publication(config: CLIPConfig) -> Publication:
    """Return the publication of a complete CLIP as a classifier with this config."""

    def for_classes(classes: Sequence[str], templates: Sequence[str] | None) -> Publication:
        _check_phrases(classes)
        own = config if templates is None else config.replace(templates=_checked(templates))
        return Publication(own, tuple(classes), partial(convert_classifier, own, tuple(classes)))

    return Publication(config, (), _require_classes, for_classes=for_classes)


def publication_for(config: CLIPRCNNConfig) -> Publication:
    """Return the publication of a complete CLIP as a detector with this config."""

    def for_classes(classes: Sequence[str], templates: Sequence[str] | None) -> Publication:
        _check_phrases(classes)
        own = config
        if templates is not None and config.region.text is not None:
            text = config.region.text.replace(templates=_checked(templates))
            own = config.replace(region=config.region.replace(text=text))
        return Publication(own, tuple(classes), partial(convert, own, tuple(classes)))

    return Publication(config, (), _require_classes, for_classes=for_classes)


_TOWERS = {
    "vit_b32": ("vit_base_patch32_clip_quickgelu_224", 512),
    "vit_b16": ("vit_base_patch16_clip_quickgelu_224", 512),
    "rn50": ("resnet50_clip", 1024),
    "rn101": ("resnet101_clip", 512),
    "rn50x4": ("resnet50x4_clip", 640, 288),
}
"""Image tower, dimensions and, where it is not 224, image size of each released file."""
_MAKERS: dict[str, Callable[..., Publication]] = {"classifier": clip, "rcnn": clip_rcnn}


def __getattr__(name: str) -> Callable[[], Publication]:
    kind, _, tower = name.partition("_")
    if kind not in _MAKERS or tower not in _TOWERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return partial(_MAKERS[kind], *_TOWERS[tower])


def _require_classes(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    raise ValueError("expected classes to detect, got none")


def _check_phrases(classes: Sequence[str]) -> None:
    """Check phrases before a file is read.

    Raises:
        ValueError: If a phrase is empty or given twice.
        ImportError: If open_clip is not installed.
    """
    invalid = [name for name in classes if not name.strip() or list(classes).count(name) > 1]
    if invalid:
        raise ValueError(f"classes: expected distinct, non-empty phrases, got {invalid[0]!r}{' twice' if invalid[0].strip() else ''}")
    require_open_clip()


def _checked(templates: Sequence[str]) -> tuple[str, ...]:
    try:
        return check_templates(tuple(templates))
    except ValueError as error:
        raise ValueError(f"templates: {error}") from None


def convert_classifier(config: CLIPConfig, classes: Sequence[str], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of the image tower, and compute the text embeddings of the classes.

    Raises:
        ValueError: If the file is not a complete CLIP with this image tower.
    """
    renamed, scale, text_encoder = _parts(config.backbone, config.dimensions, tensors)
    _log.info("classes: %s; templates: %s", ", ".join(classes), ", ".join(map(repr, config.templates)))
    return renamed | {"logits.embeddings": text_encoder.embed(classes, config.templates), "logits.scale": scale}


def convert(config: CLIPRCNNConfig, classes: Sequence[str], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of the image tower, and compute the text embeddings of the classes and of background.

    Raises:
        ValueError: If the file is not a complete CLIP with this image tower.
    """
    text = config.region.text or TextClassesConfig()
    renamed, scale, text_encoder = _parts(config.backbone, text.dimensions, tensors)
    logits = {"embeddings": text_encoder.embed(classes, text.templates), "scale": scale}
    logits["background"] = text_encoder.embed(text.background, text.templates)
    _log.info("classes: %s; phrases for background: %s", ", ".join(classes), ", ".join(text.background))
    return renamed | {f"region.predictor.logits.{name}": tensor for name, tensor in logits.items()}


def _parts(backbone: BackboneConfig, dimensions: int, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Tensor, TextTower]:
    """Return the tensors of the image tower under the names of a detector, the scale of the cosines, and the text tower."""
    text_encoder = text_tower(tensors)
    with torch.device("meta"):
        tower = ImageTower(backbone, dimensions)
    renamed = {f"neck.backbone.{name}": tensor for name, tensor in tower.rename_published(tensors).items()}
    scale = tensors["logit_scale"].float().exp().clamp(max=MAX_SCALE) if "logit_scale" in tensors else torch.tensor(MAX_SCALE)
    return renamed, scale.reshape(()), text_encoder
