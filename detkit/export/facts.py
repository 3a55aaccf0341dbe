"""Facts about the weights of a detector: their terms, and how they were trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from detkit.checkpoint import read_header
from detkit.inference.sources import checkpoint_path
from detkit.weights import EMBEDDED_INFO, NOT_STATED, catalog, embedded_path, find


class WeightFacts(NamedTuple):
    """Facts about the weights of a detector, for the metadata of an exported file.

    Attributes:
        license: Their terms; None: not stated.
        training: Data, steps and numbers of the training, as JSON; None: not known.
    """

    license: str | None
    training: str | None


def weight_facts(source: str | Path) -> WeightFacts:
    """Return what is known about the weights of a checkpoint, a run folder or a published name.

    Raises:
        FileNotFoundError: If a folder has no checkpoint.
        ValueError: If the file is not a detkit checkpoint.
    """
    if str(source) in (entry.name for entry in catalog()):
        entry = find(str(source))
        stated = {"data": entry.training_data, "metrics": dict(entry.metrics), "source": entry.source}
        return WeightFacts(None if entry.license == NOT_STATED else entry.license, json.dumps(stated))
    path = checkpoint_path(source)
    if path is None:
        return WeightFacts(None, None)
    header = read_header(path)
    known = {name: header[name] for name in ("step", "metrics", "detkit") if header.get(name) not in (None, {})}
    if path == embedded_path():
        return WeightFacts(EMBEDDED_INFO["license"], json.dumps({"data": EMBEDDED_INFO["trained on"], **known}))
    return WeightFacts(None, json.dumps(known))
