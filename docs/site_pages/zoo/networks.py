"""What building a network tells: its parameters, its operations, and which published models have the same network. Slow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch

from detkit import zoo
from detkit.checkpoint import load_checkpoint
from detkit.diagnostics.cost import NUM_PROPOSALS, profile
from detkit.models import presets
from detkit.models.loading.checkpoints import model_config
from detkit.models.published.load import PUBLISHED, publication
from detkit.weights import EMBEDDED, require_embedded_path

IMAGE = (480, 640)
"""Size of the image, the most frequent one in COCO; each model resizes it as it does all images."""
CLASSES = {"coco": 80, "coco_sample": 80, "voc": 20, "bccd": 3, "sample": 5, "masks": 5}
"""Number of classes of the data that configs name, by the first folder below ``data``."""
ANY_CLASSES = 10
"""Number of classes for configs without data of their own, and for detectors of arbitrary classes."""
FEW = 10
"""Number of proposals that are counted; the operations for more follow."""
_BACKBONE_TRAINING = ("weights", "norm", "norm_eps", "frozen_stages")
"""Keys of a backbone's config that say where its weights come from, and which of them are trained."""


def count(kind: str, name: str) -> dict[str, Any]:
    """Build a network, and count its parameters and operations.

    Args:
        kind: ``config`` or ``weights``.
        name: A name of the zoo, or of published weights.
    """
    config, classes = model_of(kind, name)
    network = without_weights(config).build(classes).eval().requires_grad_(False)
    torch.manual_seed(0)
    counted = profile(network, config.preprocess, IMAGE, FEW)
    flops = counted.flops
    if network.takes_proposals:  # each adds the same, and a network that runs once per region is slow
        flops += (profile(network, config.preprocess, IMAGE, 2 * FEW).flops - flops) * (NUM_PROPOSALS - FEW) // FEW
    return {
        "model": config.kind,
        "classes": classes,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "gflops": round(flops / 1e9, 3),
        "input": list(counted.input_size),
        "networks": same_networks(config),
    }


def model_of(kind: str, name: str) -> tuple[Any, int]:
    """Return the model's config and its number of classes."""
    if kind == "config":
        experiment = zoo.load(name)
        return experiment.model, classes_of(experiment)
    if name == EMBEDDED:
        checkpoint = load_checkpoint(require_embedded_path())
        return model_config(checkpoint.model_json, EMBEDDED), len(checkpoint.header["class_names"])
    source = publication(name)
    if source.for_classes is not None:
        return source.config, ANY_CLASSES
    return source.config, len(source.class_names)


def classes_of(experiment: Any) -> int:
    """Return the number of classes of the data that a config names."""
    folders = experiment.data.train.path.split("/")
    if experiment.data.train.path == "":  # of dfine_finetune, which starts from COCO's weights
        return CLASSES["coco"]
    return CLASSES.get(folders[1] if folders[0] == "data" else "", ANY_CLASSES)


def without_weights(config: Any) -> Any:
    """Return a model's config whose backbone starts with random weights, and has the norms that it has with its own."""
    return config.replace(backbone=config.backbone.replace(weights=None, norm=config.backbone.norm_policy))


def same_networks(config: Any) -> list[str]:
    """Return the published models and presets that give the same outputs for the same weights.

    Compared are all settings but those of training (where weights come from, what is frozen, losses) and the resizing of images.
    """
    own = json.dumps(network_settings(config), sort_keys=True)
    return sorted(name for name, settings in _references().items() if settings == own)


def network_settings(config: Any) -> Mapping[str, Any]:
    """Return the settings of a model that decide its outputs for an image of its input size."""
    settings: dict[str, Any] = json.loads(config.to_json())
    settings.pop("preprocess", None)
    backbone, head = settings.get("backbone"), settings.get("head")
    for key in _BACKBONE_TRAINING if isinstance(backbone, dict) else ():
        backbone.pop(key, None)
    if isinstance(head, dict):
        head.pop("losses", None)
    return settings


@cache
def _references() -> dict[str, str]:
    configs = {name: getattr(presets, name)() for name in presets.__all__}
    configs |= {name: publication(name).config for name in PUBLISHED.names()}
    return {name: json.dumps(network_settings(config), sort_keys=True) for name, config in configs.items()}
