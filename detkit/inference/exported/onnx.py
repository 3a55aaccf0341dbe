"""The runtime of ONNX files written by ``detkit export``: onnxruntime on the CPU."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from detkit.arrays import Floats, Integers
from detkit.checkpoint.inspect import check_exists
from detkit.inference.exported.metadata import METADATA_KEY, ExportMetadata, read_metadata, suggestions
from detkit.inference.exported.outputs import IMAGES, output_names
from detkit.inference.exported.runtime import ExportedRuntime
from detkit.inference.exported.settings import check_batch_size, check_options, thread_count

SUFFIX = ".onnx"
# onnxruntime reads this when it is imported, here or elsewhere: it would write an identifier to the user's cache and connect to a server.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


class OnnxRuntime(ExportedRuntime):
    """Runs a file in onnxruntime.

    Args:
        session: An ``onnxruntime.InferenceSession`` of a file written by ``detkit export``.
        metadata: Metadata of the file.
        path: The file, for messages.
        max_detections: Maximum number of detections per image; None: as the file states.

    Raises:
        ValueError: If the metadata does not fit the file.
    """

    library = "onnxruntime"

    def __init__(self, session: Any, metadata: ExportMetadata, path: Path, max_detections: int | None = None) -> None:
        super().__init__(path, metadata, max_detections)
        self._session, inputs = session, session.get_inputs()
        shape = next((row.shape for row in inputs if row.name == IMAGES), (None,))
        self.check_interface([row.name for row in inputs], [row.name for row in session.get_outputs()], shape[0])

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
        """Open a file; see :meth:`detkit.inference.runtime.FileRuntime.open`."""
        check_options(path, device, precision, max_detections)
        session, metadata = _open_session(path, threads)
        runtime = cls(session, metadata, path, max_detections)
        check_batch_size(path, metadata, batch_size)
        return runtime

    @classmethod
    def metadata(cls, path: Path) -> dict[str, Any]:
        """Return the class names, the suggested minimum score and the operating points of a file, where it has them.

        Raises:
            ValueError: If the file is not an exported detector, or its metadata is damaged.
        """
        return suggestions(path, _open_session(path)[1])

    def run(self, feeds: Mapping[str, Floats | Integers]) -> Sequence[Any]:
        """See :meth:`ExportedRuntime.run`."""
        try:
            outputs: Sequence[Any] = self._session.run(list(output_names(self.metadata_entry)), dict(feeds))
        except Exception as error:  # the exceptions of onnxruntime have no other common base class
            raise ValueError(f"{self.path}: onnxruntime cannot run it: {str(error).splitlines()[0]}; export the detector again") from None
        return outputs


def _open_session(path: Path, threads: int | None = None) -> tuple[Any, ExportMetadata]:
    """Open a file in onnxruntime and read the metadata of the detector; errors as in :meth:`OnnxRuntime.open`."""
    check_exists(path, "exported detector")
    runtime = import_onnxruntime(path)
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors; without a line for every constant that its optimizer folds into an int8 layer
    options.intra_op_num_threads = thread_count(threads)
    if "torch" in sys.modules:  # spinning threads would slow down those of torch
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:  # the exceptions of onnxruntime have no other common base class
        raise ValueError(f"{path}: not an ONNX file that onnxruntime can run: {str(error).splitlines()[0]}") from None
    try:
        entries = session.get_modelmeta().custom_metadata_map
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: its metadata is damaged: {error}; export the detector again") from None
    return session, read_metadata(path, entries.get(METADATA_KEY))


def import_onnxruntime(path: Path) -> Any:
    """Import onnxruntime for a file.

    Raises:
        ImportError: If it is not installed; the message gives the command that installs it.
    """
    try:
        import onnxruntime
    except ImportError:
        raise ImportError(f"{path}: onnxruntime, which runs it, is not installed: pip install onnxruntime") from None
    return onnxruntime
