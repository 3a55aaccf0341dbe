"""The runtime of ONNX files written by ``detkit export``: onnxruntime on the CPU, without PyTorch."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from pydantic import Field

from detkit.arrays import Floats, Integers, Size, to_numpy
from detkit.checkpoint.inspect import check_exists
from detkit.checkpoint.operating_points import HEADER_FIELD, OperatingPoints
from detkit.config import Config, ConfigError
from detkit.heads.postprocess import PostprocessConfig
from detkit.inference.runtime import RuntimeInfo, check_max_detections
from detkit.json_text import parse_json
from detkit.ops.select_arrays import select_arrays
from detkit.preprocess.arrays import PreparedArray
from detkit.preprocess.config import PreprocessConfig
from detkit.structures.detection import DetectionArrays

if TYPE_CHECKING:
    from detkit.preprocess import PreparedImage

METADATA_KEY = "detkit"
"""Key of the file's metadata entry that describes the detector, as JSON."""
SUFFIX = ".onnx"
INPUT, OUTPUTS = "images", ("scores", "boxes", "levels")
FORMAT = 2
"""Version of the metadata; version 1 has no operating points."""


class ExportMetadata(Config):
    """The metadata of an exported file about its detector."""

    format: int = Field(ge=1)
    """Version of the metadata."""
    detkit: str
    """Version of detkit that wrote the file."""
    detector: str
    """Name of the detector's class."""
    class_names: tuple[str | None, ...] = Field(min_length=1)
    """Class names by label; none for classes that are never reported."""
    preprocess: str
    """How images are resized: a ``PreprocessConfig`` as JSON."""
    postprocess: str
    """How scored boxes become detections: a ``PostprocessConfig`` as JSON."""
    mean: tuple[float, float, float]
    """Value of each channel that becomes zero in the network; images are padded with it."""
    pad_multiple: int = Field(ge=1, le=1024)
    """Images are padded to sides divisible by this."""
    input_size: tuple[int, int] | None
    """``(height, width)`` of the only images that the file takes; none: any size."""
    batch_size: int = Field(ge=1)
    """Images per call."""
    min_score: float | None
    """Suggested minimum score for showing detections."""
    operating_points: str | None = None
    """The scores at which the detector worked best on its validation data: ``OperatingPoints`` as JSON."""


class RawOutputs(NamedTuple):
    """Outputs of a file.

    Attributes:
        scores: ``(B, N, K)`` scores.
        boxes: ``(B, N, 4)`` boxes.
        levels: Number of the N locations in each level.
    """

    scores: Floats
    boxes: Floats
    levels: Integers


class OnnxRuntime:
    """Runs the network and the decoding of a one-stage detector in onnxruntime, and selects detections in numpy.

    Args:
        session: An ``onnxruntime.InferenceSession`` of a file written by ``detkit export``.
        metadata: Metadata of the file.
        path: The file, for messages.
        max_detections: Maximum number of detections per image; None: as the file states.

    Raises:
        ValueError: If the metadata's own configs are invalid.
    """

    def __init__(self, session: Any, metadata: ExportMetadata, path: Path, max_detections: int | None = None) -> None:
        self._session, self._path, self._batch_size = session, path, metadata.batch_size
        try:
            preprocess = PreprocessConfig.from_json(metadata.preprocess)
            postprocess = PostprocessConfig.from_json(metadata.postprocess)
        except ConfigError as error:
            raise ValueError(f"{path}: its metadata is damaged: {error}; export the detector again") from None
        self.postprocess = postprocess if max_detections is None else postprocess.with_max_detections(max_detections)
        self._filling = np.array(metadata.mean, np.float32).reshape(3, 1, 1)
        self.info = RuntimeInfo(
            name=metadata.detector,
            class_names=metadata.class_names,
            preprocess=preprocess,
            device="cpu",
            precision="fp32",
            batch_size=metadata.batch_size,
            input_size=metadata.input_size,
            pad_multiple=metadata.pad_multiple,
            max_detections=self.postprocess.max_detections,
            metadata=_suggestions(path, metadata),
        )

    @classmethod
    def open(
        cls,
        path: Path,
        device: str = "auto",
        precision: str = "auto",
        *,
        batch_size: int | None = None,
        max_detections: int | None = None,
    ) -> Self:
        """Open a file; see :meth:`detkit.inference.runtime.FileRuntime.open`."""
        if device not in ("auto", "cpu"):
            raise ValueError(
                f"{path}: device {str(device)!r}: an exported file runs on the CPU; use the checkpoint that it was exported from"
            )
        if precision not in ("auto", "fp32"):
            raise ValueError(
                f"{path}: precision {precision!r}: an exported file runs in fp32; use the checkpoint that it was exported from"
            )
        if max_detections is not None:
            check_max_detections(max_detections)
        session, metadata = _open_session(path)
        _check_interface(path, session, metadata)
        own = metadata.batch_size
        if batch_size not in (None, own):
            raise ValueError(f"{path}: batch_size: the file has a fixed batch size of {own}; export it again with another --batch-size")
        return cls(session, metadata, path, max_detections)

    @classmethod
    def metadata(cls, path: Path) -> dict[str, Any]:
        """Return the class names, the suggested minimum score and the operating points of a file, where it has them.

        Raises:
            ValueError: If the file is not an exported detector, or its metadata is damaged.
        """
        return _suggestions(path, _open_session(path)[1])

    def detect(self, images: Sequence[PreparedArray | PreparedImage]) -> list[DetectionArrays]:
        """Return the detections of up to a batch of prepared images, in pixels of the prepared images, best first."""
        pixels = [to_numpy(image.image) for image in images]
        scores, boxes, levels = self.outputs(self.stack(pixels))
        return [self._select(boxes[row], scores[row], levels.tolist(), image.size) for row, image in enumerate(images)]

    def stack(self, images: Sequence[Floats]) -> Floats:
        """Pad images to a common size divisible by the strides, with the values that become zeros in the network.

        Raises:
            ValueError: If an image does not have the file's fixed size.
        """
        fixed = self.info.input_size
        for image in images:
            if fixed is not None and image.shape[1:] != fixed:
                raise ValueError(
                    f"{self._path}: expected images of {fixed[1]} x {fixed[0]} pixels, got {image.shape[2]} x {image.shape[1]}"
                )
        multiple = self.info.pad_multiple if fixed is None else 1
        height, width = (-(-max(sides) // multiple) * multiple for sides in zip(*(image.shape[1:] for image in images), strict=True))
        padded = np.empty((len(images), 3, height, width), np.float32)
        padded[:] = self._filling
        for index, image in enumerate(images):
            padded[index, :, : image.shape[1], : image.shape[2]] = image
        return padded

    def outputs(self, images: Floats) -> RawOutputs:
        """Return the file's outputs for up to a batch of images ``(b, 3, H, W)``, see :meth:`detkit.export.graph.Graph.forward`.

        Raises:
            ValueError: If onnxruntime cannot run the file on them.
        """
        count = len(images)
        batch = np.concatenate((images, np.repeat(images[-1:], self._batch_size - count, axis=0)))
        try:
            scores, boxes, levels = self._session.run(list(OUTPUTS), {INPUT: batch})
        except Exception as error:  # the exceptions of onnxruntime have no other common base class
            raise ValueError(f"{self._path}: onnxruntime cannot run it: {str(error).splitlines()[0]}; export the detector again") from None
        if scores.shape[2:] != (len(self.info.class_names),) or levels.sum() != scores.shape[1]:
            named = len(self.info.class_names)
            raise ValueError(
                f"{self._path}: its metadata names {named} classes, but it gives scores of shape {scores.shape}; export it again"
            )
        return RawOutputs(scores[:count], boxes[:count], levels)

    def _select(self, boxes: Floats, scores: Floats, levels: list[int], size: Size) -> DetectionArrays:
        limits = np.array([size[1], size[0], size[1], size[0]], np.float32)
        return DetectionArrays(*select_arrays(lambda rows: boxes[rows].clip(0, limits), scores, levels, self.postprocess))


def _suggestions(path: Path, metadata: ExportMetadata) -> dict[str, Any]:
    """Return the metadata of :meth:`OnnxRuntime.metadata`, with the same errors."""
    known = {"class_names": metadata.class_names, "min_score": metadata.min_score}
    if metadata.operating_points is None:
        return known
    name = f"{path}: {HEADER_FIELD}"
    return {**known, HEADER_FIELD: OperatingPoints.from_dict(parse_json(metadata.operating_points, name), name).to_dict()}


def _open_session(path: Path) -> tuple[Any, ExportMetadata]:
    """Open a file in onnxruntime and read the metadata of the detector; errors as in :meth:`OnnxRuntime.open`."""
    check_exists(path, "exported detector")
    runtime = _onnxruntime(path)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = _threads()
    if "torch" in sys.modules:  # spinning threads would slow down those of torch
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the exceptions of onnxruntime have no other common base class
        raise ValueError(f"{path}: not an ONNX file that onnxruntime can run: {str(error).splitlines()[0]}") from None
    try:
        entries = session.get_modelmeta().custom_metadata_map
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: its metadata is damaged: {error}; export the detector again") from None
    return session, _read_metadata(path, entries)


def _check_interface(path: Path, session: Any, metadata: ExportMetadata) -> None:
    """Check that the inputs and outputs of a file are those that its metadata describes, before anything is allocated for them."""
    inputs, outputs = session.get_inputs(), {row.name for row in session.get_outputs()}
    if [row.name for row in inputs] != [INPUT] or not outputs.issuperset(OUTPUTS):
        names = f"input {INPUT} and the outputs {', '.join(OUTPUTS[:-1])} and {OUTPUTS[-1]}"
        got = f"{', '.join(row.name for row in inputs)}, and {', '.join(sorted(outputs))}"
        raise ValueError(f"{path}: expected the {names}, got {got}; export the detector again")
    if inputs[0].shape[0] != metadata.batch_size:
        stated = f"its metadata states a batch size of {metadata.batch_size}, but it takes {inputs[0].shape[0]}"
        raise ValueError(f"{path}: {stated}; export the detector again")


def _read_metadata(path: Path, entries: Mapping[str, str]) -> ExportMetadata:
    text = entries.get(METADATA_KEY)
    if text is None:
        raise ValueError(f"{path}: not written by detkit: expected an ONNX file from `detkit export`")
    damaged = f"{path}: its metadata is damaged"
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{damaged}: expected JSON, got {text[:40]!r}; export the detector again") from None
    version = values.get("format") if isinstance(values, dict) else None
    if isinstance(version, int) and version > FORMAT:
        raise ValueError(f"{path}: written by detkit {values.get('detkit')} in a newer format; update detkit")
    try:
        return ExportMetadata.from_json(text)
    except ConfigError as error:
        raise ValueError(f"{damaged}: {error}; export the detector again") from None


def _threads() -> int:
    """As many threads as torch uses, where it is loaded; 0 leaves the choice to onnxruntime."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return int(torch.get_num_threads())
    named = os.environ.get("OMP_NUM_THREADS", "")
    return int(named) if named.isdigit() else 0


def _onnxruntime(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise ImportError(f"{path}: onnxruntime, which runs it, is not installed: pip install 'detkit-vision[export]'") from None
    return onnxruntime
