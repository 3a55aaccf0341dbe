"""Inference with an ONNX file written by ``detkit export``, in onnxruntime on the CPU."""

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
from detkit.structures import Batch, Detections, Proposals, Size, Targets

METADATA_KEY = "detkit"
"""Key of the file's metadata entry that describes the detector, as JSON."""
SUFFIX = ".onnx"
INPUT, OUTPUTS = "images", ("scores", "boxes", "levels")
_FORMAT = 1
_OPTIONS = {"min_score", "classes", "batch_size"}


def is_exported(source: str | Path) -> bool:
    """Whether a file name is that of an exported detector."""
    return Path(source).suffix == SUFFIX


def load_exported(path: str | Path, device: str | torch.device = "auto", precision: str = "auto", **options: Any) -> Predictor:
    """Load an exported detector, which runs in onnxruntime, in float32 on the CPU; see :mod:`detkit.inference.loading`.

    Args:
        path: An ONNX file written by ``detkit export``.
        device: ``auto`` or ``cpu``.
        precision: ``auto`` or ``fp32``.
        options: ``min_score``, ``classes``; see :class:`Predictor`.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is not an exported detector, or an option is not supported by exported files.
        ImportError: If onnxruntime is not installed.
    """
    if str(device) not in ("auto", "cpu"):
        raise ValueError(f"{path}: device {str(device)!r}: an exported file runs on the CPU; use the checkpoint that it was exported from")
    if precision not in ("auto", "fp32"):
        raise ValueError(f"{path}: precision {precision!r}: an exported file runs in fp32; use the checkpoint that it was exported from")
    used_options = {name: value for name, value in options.items() if value}
    if unsupported := sorted(set(used_options) - _OPTIONS):
        raise ValueError(f"{path}: {unsupported[0]} is not supported by exported files; use the checkpoint that they were exported from")
    session, metadata = open_session(Path(path))
    batch_size = int(metadata["batch_size"])
    if used_options.pop("batch_size", batch_size) != batch_size:
        raise ValueError(f"{path}: batch_size: the file has a fixed batch size of {batch_size}; export it again with another --batch-size")
    detector = ExportedDetector(session, metadata)
    preprocess = PreprocessConfig.from_json(metadata["preprocess"])
    return Predictor(detector, preprocess, metadata["class_names"], "cpu", "fp32", reference=True, batch_size=batch_size, **used_options)


def open_session(path: Path) -> tuple[Any, dict[str, Any]]:
    """Open the file in onnxruntime, with as many threads as torch uses; return the session and the metadata of the detector.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is not an ONNX file, or was not written by ``detkit export``.
        ImportError: If onnxruntime is not installed.
    """
    check_exists(path, "exported detector")
    runtime = _onnxruntime(path)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Spinning threads would slow down those of torch, which run the postprocessing.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the exceptions of onnxruntime have no other common base class
        raise ValueError(f"{path}: not an ONNX file that onnxruntime can run: {str(error).splitlines()[0]}") from None
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ValueError(f"{path}: not written by detkit: expected an ONNX file from `detkit export`")
    metadata: dict[str, Any] = json.loads(text)
    if metadata["format"] > _FORMAT:
        raise ValueError(f"{path}: written by detkit {metadata['detkit']} in a newer format; update detkit")
    return session, metadata


def _onnxruntime(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise ImportError(f"{path}: onnxruntime, which runs it, is not installed: pip install 'detkit-vision[export]'") from None
    return onnxruntime


def export_metadata(
    detector: OneStage, preprocess: PreprocessConfig, class_names: Sequence[str | None], batch_size: int, min_score: float | None
) -> dict[str, Any]:
    """Return the metadata of an exported detector, JSON-serializable."""
    from detkit.about import __version__

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


class ExportedDetector(Detector):
    """A detector whose network and decoding run in onnxruntime; only pre- and postprocessing use torch.

    Args:
        session: An ``onnxruntime.InferenceSession`` of a file written by ``detkit export``.
        metadata: Metadata of the file.
    """

    def __init__(self, session: Any, metadata: dict[str, Any]) -> None:
        super().__init__(_NoNeck(), len(metadata["class_names"]))
        self.session = session
        self.postprocess = PostprocessConfig.from_json(metadata["postprocess"])
        self.pad_multiple = metadata["pad_multiple"]  # type: ignore[misc]
        self.input_size = None if metadata["input_size"] is None else (int(metadata["input_size"][0]), int(metadata["input_size"][1]))
        self.batch_size = int(metadata["batch_size"])
        self.register_buffer("filling", torch.tensor(metadata["mean"]).reshape(3, 1, 1), persistent=False)

    def prepare(self, images: Sequence[Tensor], seeds: Sequence[int] | None = None) -> Batch:
        """Pad to a common size divisible by the strides, with the values that become zeros in the network."""
        batch = super().prepare(images, seeds)
        for image, (height, width) in zip(batch.images, batch.sizes, strict=True):
            image[:, height:] = self.filling
            image[:, :, width:] = self.filling
        return batch

    def raw(self, batch: Batch, proposals: Sequence[Proposals] | None = None, targets: Sequence[Targets] | None = None) -> Raw:
        """Return scores, boxes and level lengths, see :meth:`detkit.export.graph.Graph.forward`."""
        missing = self.batch_size - len(batch)
        images = torch.cat((batch.images, batch.images[-1:].expand(missing, -1, -1, -1))) if missing else batch.images
        scores, boxes, levels = (torch.from_numpy(output) for output in self.session.run(list(OUTPUTS), {INPUT: images.numpy()}))
        return scores[: len(batch)], boxes[: len(batch)], levels

    def detect(self, raw: Raw, batch: Batch) -> list[Detections]:
        """See :meth:`Detector.detect`."""
        scores, boxes, levels = raw
        return [self._select(boxes[image], scores[image], levels.tolist(), size) for image, size in enumerate(batch.sizes)]

    def _select(self, boxes: Tensor, scores: Tensor, levels: list[int], size: Size) -> Detections:
        selected_boxes, selection = self.postprocess.select(lambda rows: clip_boxes(boxes[rows.rows], size), scores, levels)
        return Detections(selected_boxes, selection.scores, selection.labels)


class _NoNeck(nn.Module):
    """Placeholder for the neck, which is in the file; its inputs are not normalized."""

    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    @property
    def backbone(self) -> nn.Module:
        return self
