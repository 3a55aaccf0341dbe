"""What in a head on regions depends on the classes, and how classes that are told by phrases get their embeddings."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

import torch

from detkit.checkpoint import load_checkpoint
from detkit.heads.region_classifier import RegionClassifier
from detkit.heads.text_classes import TextLogits
from detkit.models.detector import ClassLayout, Detector

log = logging.getLogger(__name__)

_EMBEDDINGS = "predictor.logits.embeddings"


def region_layout(region: RegionClassifier) -> dict[str, ClassLayout]:
    """The last layers by the names they have in a detector; background is the last row of linear logits."""
    predictor = region.predictor
    rows: dict[str, ClassLayout] = {}
    layers: dict[str, ClassLayout] = {}
    if isinstance(predictor.logits, TextLogits):
        rows[f"region.{_EMBEDDINGS}"] = ClassLayout()
    else:
        layers["predictor.logits"] = ClassLayout(after=1)
    if predictor.deltas is not None:
        layers["predictor.deltas"] = ClassLayout(per_class=4)
    if region.fitted is not None:
        layers |= {"fitted.svm": ClassLayout(), "fitted.boxes": ClassLayout(per_class=4)}
    return rows | {f"region.{layer}.{part}": found for layer, found in layers.items() for part in ("weight", "bias")}


@torch.no_grad()
def embed_classes(detector: Detector, class_names: Sequence[str]) -> bool:
    """Give a detector whose classes are told by phrases their embeddings, in place, if its config names where they are; whether it did.

    Those of background come too, where the config has phrases for it.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: it has no embeddings, of other dimensions, or not of every class.
    """
    region: Any = getattr(detector, "region", None)
    logits: Any = getattr(getattr(region, "predictor", None), "logits", None)
    if not isinstance(logits, TextLogits):
        return False
    if logits.config.embeddings is None:
        log.info("classes: model.region.text.embeddings names no checkpoint, so that classes keep the embeddings they have")
        return False
    path = logits.config.embeddings
    found = load_checkpoint(path)
    given = next((tensor for name, tensor in found.tensors.items() if name.endswith(_EMBEDDINGS)), None)
    if given is None or given.shape[1] != logits.config.dimensions:
        got = "none" if given is None else f"{given.shape[1]}"
        raise ValueError(f"region.text.embeddings={path}: expected embeddings of {logits.config.dimensions} dimensions, got {got}")
    missing = [name for name in class_names if name not in found.class_names]
    if missing:
        known = ", ".join(str(name) for name in found.class_names)
        raise ValueError(f"region.text.embeddings={path}: no embedding of {', '.join(missing)}; it has {known}")
    logits.embeddings.copy_(given[[found.class_names.index(name) for name in class_names]])
    background = next(tensor for name, tensor in found.tensors.items() if name.endswith("predictor.logits.background"))
    if logits.config.background:
        _same_phrases(logits, found.model_json, path)
        logits.background.copy_(background)
    log.info("classes: embeddings of %s from %s", ", ".join(class_names), path)
    return True


def _same_phrases(logits: TextLogits, model_json: str, path: str) -> None:
    """Check that the background of a checkpoint was embedded from the phrases that a config names.

    Raises:
        ValueError: it was not.
    """
    theirs = tuple(json.loads(model_json)["region"]["text"]["background"])
    if theirs != logits.config.background:
        raise ValueError(
            f"region.text.embeddings={path}: background was embedded there as {', '.join(theirs) or 'what was learned'}, and "
            f"region.text.background says {', '.join(logits.config.background)}; give both the same phrases, or set "
            "region.text.background=() for an embedding that learns"
        )
