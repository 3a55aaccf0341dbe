"""A detector out of an ONNX file that ``detkit export`` wrote, run by onnxruntime on the CPU."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from detkit.checkpoint.inspect import check_exists
from detkit.heads.postprocess import PostprocessConfig
from detkit.inference.predictor import Predictor
from detkit.models.detector import Detector, Raw
from detkit.models.one_stage import OneStage
from detkit.ops.boxes import clip_boxes
from detkit.preprocess import PreprocessConfig
from detkit.structures import Batch, Detections, Proposals, Size

KEY = "detkit"
"""The entry of the file's metadata that holds all that is told here of its detector, as JSON."""
ENDING = ".onnx"
INPUT, OUTPUTS = "images", ("scores", "boxes", "levels")
_FORMAT = 1
_OPTIONS = {"min_score", "classes", "batch_size"}


def is_exported(source: str | Path) -> bool:
    """Whether a name is that of an exported file."""
    return Path(source).suffix == ENDING


def load_exported(path: str | Path, device: str | torch.device = "auto", precision: str = "auto", **options: Any) -> Predictor:
    """A predictor whose networks onnxruntime runs, in float32 on the CPU; see :func:`detkit.inference.loading`.

    Args:
        path: What ``detkit export`` wrote.
        device: ``auto`` or ``cpu``.
        precision: ``auto`` or ``fp32``.
        options: ``min_score``, ``classes``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is something else, or is asked for what a file cannot do.
        ImportError: onnxruntime is not here.
    """
    if str(device) not in ("auto", "cpu"):
        raise ValueError(f"{path}: device {str(device)!r}: an exported file runs on the CPU; give the checkpoint it was made from")
    if precision not in ("auto", "fp32"):
        raise ValueError(f"{path}: precision {precision!r}: an exported file runs in fp32; give the checkpoint it was made from")
    taken = {name: value for name, value in options.items() if value}
    if wrong := sorted(set(taken) - _OPTIONS):
        raise ValueError(f"{path}: {wrong[0]} is not for exported files; give the checkpoint it was made from")
    session, told = open_session(Path(path))
    batch_size = int(told["batch_size"])
    if taken.pop("batch_size", batch_size) != batch_size:
        raise ValueError(f"{path}: batch_size: the file takes {batch_size} images at a time; export it again with another --batch-size")
    detector = Exported(session, told)
    preprocess = PreprocessConfig.from_json(told["preprocess"])
    return Predictor(detector, preprocess, told["class_names"], "cpu", "fp32", reference=True, batch_size=batch_size, **taken)


def open_session(path: Path) -> tuple[Any, dict[str, Any]]:
    """The file in onnxruntime, on as many threads as torch has, and what it tells of its detector.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no ONNX file, or none of ``detkit export``.
        ImportError: onnxruntime is not here.
    """
    check_exists(path, "exported detector")
    runtime = _onnxruntime(path)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Threads that wait in a loop would take the processor from torch's, which choose among the boxes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no other base
        raise ValueError(f"{path}: not an ONNX file that onnxruntime can run: {str(error).splitlines()[0]}") from None
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    if text is None:
        raise ValueError(f"{path}: an ONNX file of another program: expected one that `detkit export` wrote")
    told: dict[str, Any] = json.loads(text)
    if told["format"] > _FORMAT:
        raise ValueError(f"{path}: written by detkit {told['detkit']} in a later format; update detkit")
    return session, told


def _onnxruntime(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise ImportError(f"{path}: onnxruntime runs such files, and it is not here: pip install 'detkit[export]'") from None
    return onnxruntime


def description(
    detector: OneStage, preprocess: PreprocessConfig, class_names: Sequence[str | None], batch_size: int, min_score: float | None
) -> dict[str, Any]:
    """What a file tells of its detector, for JSON."""
    from detkit import __version__

    return {
        "format": _FORMAT,
        "detkit": __version__,
        "detector": type(detector).__name__,
        "class_names": list(class_names),
        "preprocess": preprocess.to_json(),
        "postprocess": detector.head.postprocess.to_json(),
        "mean": detector.mean.flatten().tolist(),
        "pad_multiple": detector.pad_multiple,
        "input_size": detector.input_size,
        "batch_size": batch_size,
        "min_score": min_score,
    }


class Exported(Detector):
    """Networks and decoding out of a file; only what surrounds them is torch.

    Args:
        session: An ``onnxruntime.InferenceSession`` of a file that ``detkit export`` wrote.
        told: The file's description.
    """

    def __init__(self, session: Any, told: dict[str, Any]) -> None:
        super().__init__(_Elsewhere(), len(told["class_names"]))
        self.session = session
        self.postprocess = PostprocessConfig.from_json(told["postprocess"])
        self.pad_multiple = told["pad_multiple"]  # type: ignore[misc]
        self.input_size = None if told["input_size"] is None else (int(told["input_size"][0]), int(told["input_size"][1]))
        self.batch_size = int(told["batch_size"])
        self.register_buffer("filling", torch.tensor(told["mean"]).reshape(3, 1, 1), persistent=False)

    def prepare(self, images: Sequence[Tensor], seeds: Sequence[int] | None = None) -> Batch:
        """Pad to one size that the strides divide, with what the file's network will see as zeros."""
        batch = super().prepare(images, seeds)
        for image, (height, width) in zip(batch.images, batch.sizes, strict=True):
            image[:, height:] = self.filling
            image[:, :, width:] = self.filling
        return batch

    def raw(self, batch: Batch, proposals: Sequence[Proposals] | None = None) -> Raw:
        """Scores, boxes and the lengths of levels, see :meth:`detkit.export.graph.Graph.forward`."""
        missing = self.batch_size - len(batch)
        images = torch.cat((batch.images, batch.images[-1:].expand(missing, -1, -1, -1))) if missing else batch.images
        scores, boxes, levels = (torch.from_numpy(found) for found in self.session.run(list(OUTPUTS), {INPUT: images.numpy()}))
        return scores[: len(batch)], boxes[: len(batch)], levels

    def detect(self, raw: Raw, batch: Batch) -> list[Detections]:
        """See :meth:`Detector.detect`."""
        scores, boxes, levels = raw
        return [self._chosen(boxes[image], scores[image], levels.tolist(), size) for image, size in enumerate(batch.sizes)]

    def _chosen(self, boxes: Tensor, scores: Tensor, levels: list[int], size: Size) -> Detections:
        found, chosen = self.postprocess.choose(lambda rows: clip_boxes(boxes[rows.rows], size), scores, levels)
        return Detections(found, chosen.scores, chosen.labels)


class _Elsewhere(nn.Module):
    """Stands where a neck would be: the file holds it, and takes images as they are."""

    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    @property
    def backbone(self) -> nn.Module:
        return self
