"""The models of a server: loading, the scores from which they report, and the choice of detections for a request."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detkit.drawing.palette import color_of
from detkit.inference.light import BasePredictor, NeedsPyTorchError, load_exported
from detkit.inference.min_scores import MinScore, MinScores, stored_min_score
from detkit.inference.runtime import is_exported
from detkit.serve.parameters import Parameters
from detkit.serve.schemas import ClassInfo
from detkit.structures.detection import DetectionArrays
from detkit.weights import EMBEDDED, embedded_onnx_path, embedded_path


@dataclass(frozen=True)
class Model:
    """A model of a server.

    Attributes:
        name: Its name in requests.
        predictor: Detects; it reports every score, and requests choose from that.
        scores: The lowest score of each class that is reported when a request gives none.
        max_batch: Most images that run together.
    """

    name: str
    predictor: BasePredictor[Any, Any]
    scores: MinScores
    max_batch: int

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes that can be reported."""
        return self.predictor.reported

    def select(self, rows: DetectionArrays, parameters: Parameters) -> DetectionArrays:
        """Return the detections that a request asks for, of all detections of an image, best first."""
        names = self.predictor.class_names
        scores = self.scores if parameters.min_score is None else MinScores(parameters.min_score, names)
        keep = scores.keep(rows)
        if parameters.classes is not None:
            keep &= np.array([name in parameters.classes for name in names], np.bool_)[rows.labels]
        return rows[np.flatnonzero(keep)[: parameters.max_detections]]

    def classes(self) -> list[ClassInfo]:
        """Return the classes that can be reported."""
        reported = set(self.class_names)
        return [
            ClassInfo(label=label, name=name, color="#{:02x}{:02x}{:02x}".format(*color_of(label)), min_score=self.scores.of(label))
            for label, name in enumerate(self.predictor.class_names)
            if name is not None and name in reported
        ]


def named_sources(words: Sequence[str]) -> dict[str, str]:
    """Return the model of each name; a word is ``NAME=MODEL``, or a model, which then gives the name.

    Raises:
        ValueError: If two models have one name, or a name or model is empty.
    """
    sources: dict[str, str] = {}
    for word in words:
        name, equals, source = word.partition("=")
        if not equals or Path(word).exists():
            name, source = _own_name(word), word
        if not name or not source:
            raise ValueError(f"{word!r}: expected MODEL or NAME=MODEL, got an empty {'name' if source else 'model'}")
        if name in sources:
            raise ValueError(f"{sources[name]} and {source} would both be called {name!r}; name them: NAME=MODEL")
        sources[name] = source
    return sources


def _own_name(word: str) -> str:
    """Return the name of a model: that of a run for its checkpoints, else that of the file without its ending."""
    path = Path(word)
    if path.stem in ("best", "last") and path.parent.name:
        return path.parent.name
    return path.stem if path.suffix in (".safetensors", *([path.suffix] if is_exported(word) else [])) else path.name or word


def load_model(
    name: str,
    source: str | Path,
    *,
    device: str = "auto",
    precision: str = "auto",
    min_score: float | None = None,
    default_min_score: float = 0.5,
    max_batch: int | None = None,
    **options: Any,
) -> Model:
    """Load a model; for an exported file, torch is not imported.

    Args:
        name: Its name in requests.
        source: As in :func:`detkit.inference.load`.
        device: Name of the device, or ``auto``.
        precision: Number format, or ``auto``.
        min_score: Lowest score that is reported when a request gives none; None: the model's operating points or suggestion.
        default_min_score: This score for models that suggest none.
        max_batch: Most images that run together; None: the number that suits the device.
        options: Further options of :func:`detkit.inference.load`.

    Raises:
        FileNotFoundError: If there is no such model.
        ValueError: If it is damaged, or cannot run as asked.
        ImportError: If a library that it needs is not installed.
    """
    predictor, metadata = _load(source, device, precision, {**options, "min_score": 0.0, "batch_size": max_batch})
    lowest: MinScore | None = stored_min_score(metadata) if min_score is None else min_score
    scores = MinScores(default_min_score if lowest is None else lowest, predictor.class_names)
    return Model(name, predictor, scores, max_batch or predictor.batch_size)


def _load(source: str | Path, device: str, precision: str, options: dict[str, Any]) -> tuple[BasePredictor[Any, Any], Mapping[str, Any]]:
    """Return the predictor and the header of its file, without PyTorch where that is possible."""
    file = _file_without_torch(source, device, precision, options)
    if file is not None:
        with suppress(NeedsPyTorchError):
            light = load_exported(file, device, precision, **options)
            return light, light.runtime.info.metadata
    from detkit.inference.loading import load
    from detkit.inference.sources import source_metadata

    return load(source, device, precision, **options), source_metadata(source)


def _file_without_torch(source: str | Path, device: str, precision: str, options: Mapping[str, Any]) -> Path | None:
    """Return the exported file that runs a model, as ``detkit detect`` chooses it; None if PyTorch runs it."""
    if options.keys() & {"runtime", "file", "svd", "proposals_cache"}:
        return None
    if is_exported(source):
        return Path(source)
    on_cpu = device in ("auto", "cpu") and precision in ("auto", "fp32")
    return embedded_onnx_path() if on_cpu and str(source) in (EMBEDDED, str(embedded_path())) else None


def set_threads(count: int) -> None:
    """Set the number of threads on which models run; call it before they are loaded."""
    os.environ["OMP_NUM_THREADS"] = str(count)  # for onnxruntime, and for torch if it is imported later
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
