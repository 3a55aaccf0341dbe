"""Text embeddings of the classes of a detector, loaded from a checkpoint that embedded them."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence

import torch

from detkit.checkpoint import load_checkpoint
from detkit.heads.text_classes import TextLogits
from detkit.models.detector import Detector
from detkit.models.regions import EMBEDDINGS, has_regions

_log = logging.getLogger(__name__)


@torch.no_grad()
def embed_classes(detector: Detector, class_names: Sequence[str]) -> bool:
    """Load the text embeddings of the classes into a detector, in place, from the checkpoint that its config names.

    The embeddings of background are loaded too, if the config has phrases for it.

    Returns:
        Whether embeddings were loaded.

    Raises:
        FileNotFoundError: If the checkpoint does not exist.
        ValueError: If it has no embeddings, embeddings of other dimensions, or not those of every class.
    """
    logits = detector.region.predictor.logits if has_regions(detector) else None
    if not isinstance(logits, TextLogits):
        return False
    if logits.config.embeddings is None:
        _log.info("classes: keeping the present embeddings, as model.region.text.embeddings is not set")
        return False
    path = logits.config.embeddings
    checkpoint = load_checkpoint(path)
    embeddings = next((tensor for name, tensor in checkpoint.tensors.items() if name.endswith(EMBEDDINGS)), None)
    if embeddings is None or embeddings.shape[1] != logits.config.dimensions:
        got = "none" if embeddings is None else f"{embeddings.shape[1]}"
        raise ValueError(f"region.text.embeddings={path}: expected embeddings of {logits.config.dimensions} dimensions, got {got}")
    missing = [name for name in class_names if name not in checkpoint.class_names]
    if missing:
        available = ", ".join(str(name) for name in checkpoint.class_names)
        raise ValueError(
            f"region.text.embeddings={path}: expected embeddings of all classes, got none of {', '.join(missing)}; it has {available}"
        )
    logits.embeddings.copy_(embeddings[[checkpoint.class_names.index(name) for name in class_names]])
    background = next(tensor for name, tensor in checkpoint.tensors.items() if name.endswith("predictor.logits.background"))
    if logits.config.background:
        _check_background_phrases(logits, checkpoint.model_json, path)
        logits.background.copy_(background)
    _log.info("classes: embeddings of %s from %s", ", ".join(class_names), path)
    return True


def _check_background_phrases(logits: TextLogits, model_json: str, path: str) -> None:
    """Check that a checkpoint embedded background with the phrases that the config names.

    Raises:
        ValueError: If the phrases differ.
    """
    embedded = tuple(json.loads(model_json)["region"]["text"]["background"])
    if embedded != logits.config.background:
        raise ValueError(
            f"region.text.embeddings={path}: expected background embedded as in region.text.background, "
            f"{', '.join(logits.config.background)}; got {', '.join(embedded) or 'a trained embedding'}; use the same phrases for both, "
            "or set region.text.background=() for a trained embedding"
        )
