"""Runtimes: what runs a detector under a predictor, such as a network in PyTorch or an exported file in onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

from detkit.arrays import Size
from detkit.registry import Registry

if TYPE_CHECKING:
    from detkit.preprocess import PreprocessConfig
    from detkit.structures import DetectionMethods

RUNTIMES = Registry(
    "runtime",
    "detkit.runtimes",
    {".onnx": "detkit.inference.exported.onnx:OnnxRuntime", ".xml": "detkit.inference.exported.openvino:OpenVinoRuntime"},
)
"""File ending to the class that runs exported files with it, see :class:`FileRuntime`; other packages can add theirs."""

ONLY_DETECTION = "exported files support only detection and evaluation; use the checkpoint that it was exported from"
"""Message for what needs the network itself."""


@dataclass(frozen=True)
class RuntimeInfo:
    """Properties of a runtime and its detector.

    Attributes:
        name: The detector, for people.
        class_names: Class names by label; None for classes that are never reported.
        preprocess: How images are resized for the detector.
        device: Where it runs.
        precision: Data type of convolutions and matrix products: ``fp32``, ``bf16``, ``fp16`` or ``int8``.
        batch_size: Images of one prepared size that run together, unless the user sets another number.
        takes_any_batch: Whether any number of images can run together.
        input_size: ``(height, width)`` of the only images that it takes; None: any size.
        pad_multiple: Images are padded to sides divisible by this.
        max_detections: Maximum number of detections per image; None: no limit.
        takes_proposals: Whether images need proposals.
        classifies: Whether it classifies whole images instead of detecting objects.
        segments: Whether it predicts the class of every pixel instead of detecting objects.
        metadata: Of an exported file, what :meth:`FileRuntime.metadata` returns.
    """

    name: str
    class_names: tuple[str | None, ...]
    preprocess: PreprocessConfig
    device: Any
    precision: str
    batch_size: int = 1
    takes_any_batch: bool = True
    input_size: Size | None = None
    pad_multiple: int = 1
    max_detections: int | None = None
    takes_proposals: bool = False
    classifies: bool = False
    segments: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Runtime(Protocol):
    """What runs a detector."""

    info: RuntimeInfo

    def detect(self, images: Sequence[Any]) -> Sequence[DetectionMethods]:
        """Return the detections of a batch of prepared images of one size, in pixels of the prepared images, best first."""


class FileRuntime(Runtime, Protocol):
    """A runtime for files of one ending, listed in :data:`RUNTIMES`; it takes images as arrays, and as tensors on the CPU."""

    @classmethod
    def open(
        cls,
        path: Path,
        device: str = "auto",
        precision: str = "auto",
        *,
        batch_size: int | None = None,
        max_detections: int | None = None,
        threads: int | None = None,
    ) -> Self:
        """Open an exported file.

        Args:
            path: The file.
            device: Name of a device, or ``auto``.
            precision: ``auto`` or the precision to run in.
            batch_size: Images that run together; None: as the file states.
            max_detections: Maximum number of detections per image; None: as the file states.
            threads: Number of threads; None: as many as PyTorch uses where it is loaded, else ``$OMP_NUM_THREADS`` or the library's choice.

        Raises:
            FileNotFoundError: If the file does not exist.
            ValueError: If the file is not an exported detector, or cannot run as asked.
            ImportError: If the library that runs it is not installed.
        """

    @classmethod
    def metadata(cls, path: Path) -> dict[str, Any]:
        """Return the ``class_names`` of a file and, where it has them, its suggested ``min_score`` and its ``operating_points``.

        ``proposals`` is the source of the proposals that it takes, a ``ProposalsConfig`` as JSON, and ``classifies`` whether it classifies
        whole images.

        Errors are as in :meth:`open`.
        """


def is_exported(source: str | Path) -> bool:
    """Whether a file name is that of an exported detector."""
    return Path(source).suffix in RUNTIMES


def file_runtime(source: str | Path) -> type[FileRuntime]:
    """Return the runtime for an exported file, by its ending.

    Raises:
        ValueError: If no runtime has the ending.
    """
    return cast("type[FileRuntime]", RUNTIMES.get(Path(source).suffix))


def check_max_detections(limit: int) -> None:
    """Check a limit on the detections of an image.

    Raises:
        ValueError: If it is below 1.
    """
    if limit < 1:
        raise ValueError(f"max_detections: expected 1 or more, got {limit}")


def check_threads(threads: int) -> int:
    """Return a number of threads.

    Raises:
        ValueError: If it is below 1.
    """
    if threads < 1:
        raise ValueError(f"threads: expected 1 or more, got {threads}")
    return threads
