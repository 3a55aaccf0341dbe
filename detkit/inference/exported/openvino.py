"""The runtime of OpenVINO files (``.xml`` with ``.bin``) written by ``detkit export``; it also runs the ONNX files: OpenVINO on the CPU."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from detkit.arrays import Floats, Integers
from detkit.checkpoint.inspect import check_exists
from detkit.inference.exported.metadata import METADATA_KEY, ExportMetadata, read_metadata, suggestions
from detkit.inference.exported.outputs import IMAGES, output_names
from detkit.inference.exported.runtime import ExportedRuntime
from detkit.inference.exported.settings import check_batch_size, check_options, thread_count
from detkit.weights.fetch import sha256_of

SUFFIX = ".xml"
METADATA_FIELDS = {SUFFIX: (METADATA_KEY, "metadata"), ".onnx": ("framework", METADATA_KEY)}
"""Place of the metadata in the ``rt_info`` of a file, by its ending; OpenVINO itself puts that of ONNX files there."""
DIGEST_FIELD = (METADATA_KEY, "weights")
"""Place of the SHA-256 of the ``.bin`` file."""
_TELEMETRY = "openvino_telemetry"


class OpenVinoRuntime(ExportedRuntime):
    """Runs a file in OpenVINO, at any size without compiling it again.

    Args:
        compiled: An ``openvino.CompiledModel`` of a file written by ``detkit export``.
        metadata: Metadata of the file.
        path: The file, for messages.
        max_detections: Maximum number of detections per image; None: as the file states.

    Raises:
        ValueError: If the metadata does not fit the file.
    """

    library = "openvino"

    def __init__(self, compiled: Any, metadata: ExportMetadata, path: Path, max_detections: int | None = None) -> None:
        super().__init__(path, metadata, max_detections)
        self._compiled, self._threads = compiled, threading.local()
        images = next((row for row in compiled.inputs if IMAGES in row.get_names()), None)
        batch = None if images is None or images.partial_shape[0].is_dynamic else images.partial_shape[0].get_length()
        outputs = [name for row in compiled.outputs for name in row.get_names()]
        self.check_interface([_input_name(row) for row in compiled.inputs], outputs, batch)

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
        cache: Path | None = None,
    ) -> Self:
        """Open a file; see :meth:`detkit.inference.runtime.FileRuntime.open`.

        Args:
            path: A file ending in ``.xml``, with the ``.bin`` file of the same name next to it, or in ``.onnx``.
            device: ``auto`` or ``cpu``.
            precision: ``auto`` and ``fp32`` run in float32; ``bf16`` also multiplies in bfloat16, which changes the detections slightly.
            batch_size: Images that run together; None: as the file states.
            max_detections: Maximum number of detections per image; None: as the file states.
            threads: Number of threads.
            cache: Folder in which OpenVINO keeps compiled models, which then open several times as fast; None: none.
        """
        check_options(path, device, precision, max_detections, ("bf16",))
        core, model = _read(path)
        metadata = _metadata(path, model)
        check_batch_size(path, metadata, batch_size)
        settings = _settings(core, path, "bf16" if precision == "bf16" else "f32", thread_count(threads))
        if cache is not None:
            settings["CACHE_DIR"] = str(cache)
        try:
            compiled = core.compile_model(model, "CPU", settings)
        except RuntimeError as error:
            raise ValueError(f"{path}: OpenVINO cannot run it: {_reason(error)}; export the detector again") from None
        runtime = cls(compiled, metadata, path, max_detections)
        if precision == "bf16":
            runtime.info = replace(runtime.info, precision=precision)
        return runtime

    @classmethod
    def metadata(cls, path: Path) -> dict[str, Any]:
        """Return the class names, the suggested minimum score and the operating points of a file, where it has them.

        Raises:
            ValueError: If the file is not an exported detector, or its metadata is damaged.
        """
        return suggestions(path, _metadata(path, _read(path)[1]))

    def run(self, feeds: Mapping[str, Floats | Integers]) -> Sequence[Any]:
        """See :meth:`ExportedRuntime.run`."""
        # Inputs are always shared: a request that once shared an array cannot copy one of another size.
        try:
            results = self._request().infer(dict(feeds), share_inputs=True)
        except RuntimeError as error:
            raise ValueError(f"{self.path}: OpenVINO cannot run it: {_reason(error)}; export the detector again") from None
        return [results[name] for name in output_names(self.metadata_entry)]

    def _request(self) -> Any:
        """The request of this thread: one request cannot run for two threads at a time."""
        if not hasattr(self._threads, "request"):
            self._threads.request = self._compiled.create_infer_request()
        return self._threads.request


def import_openvino(path: Path) -> Any:
    """Import OpenVINO without its telemetry, which by default writes files to the home folder and connects to a server at import.

    Args:
        path: The file that needs it, for the message.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        with _without_telemetry():
            import openvino
    except ImportError:
        raise ImportError(f"{path}: openvino, which runs it, is not installed: pip install 'detkit-vision[openvino]'") from None
    return openvino


def openvino_core(path: Path) -> Any:
    """Return the process's only ``openvino.Core``.

    A core gives the thread a stack for signal handlers while its CPU plugin lives. Of several, the one that ends last restores the stack of
    one that is gone, and the next signal ends the process.

    Args:
        path: The file that needs it, for the message.

    Raises:
        ImportError: If OpenVINO is not installed.
    """
    return _core(import_openvino(path))


@functools.cache
def _core(openvino: Any) -> Any:
    return openvino.Core()


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """Hide the telemetry package, in place of which OpenVINO then uses its own empty one."""
    if "openvino" in sys.modules:
        yield
        return
    before = sys.modules.get(_TELEMETRY)
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[_TELEMETRY]
        if before is not None:
            sys.modules[_TELEMETRY] = before


def weights_digest(path: Path) -> str:
    """Return the SHA-256 of the ``.bin`` file of an ``.xml`` file."""
    return sha256_of(path.with_suffix(".bin"))


def _read(path: Path) -> tuple[Any, Any]:
    """Return OpenVINO's core and the model of a file, not compiled; errors as in :meth:`OpenVinoRuntime.open`."""
    check_exists(path, "exported detector")
    weights = path.with_suffix(".bin")
    if path.suffix == SUFFIX and not weights.is_file():
        raise FileNotFoundError(f"{weights}: not found; it holds the weights of {path}: keep the two files together")
    core = openvino_core(path)
    try:
        return core, core.read_model(str(path))
    except RuntimeError as error:
        raise ValueError(f"{path}: not a file that OpenVINO can run: {_reason(error)}") from None


def _metadata(path: Path, model: Any) -> ExportMetadata:
    """Read the metadata of a model, and check that the weights belong to it."""
    metadata = read_metadata(path, _entry(model, METADATA_FIELDS.get(path.suffix, METADATA_FIELDS[SUFFIX])))
    if path.suffix == SUFFIX and _entry(model, DIGEST_FIELD) != weights_digest(path):
        raise ValueError(f"{path.with_suffix('.bin')}: does not belong to {path}, or is damaged; export the detector again")
    return metadata


def _entry(model: Any, field: Sequence[str]) -> str | None:
    if not model.has_rt_info(list(field)):
        return None
    return str(model.get_rt_info(list(field)).astype(str))


def _input_name(row: Any) -> str:
    """Return the name that an input was given: it also has the names of nodes equal to it, such as a division by one, which hold signs."""
    return str(next((name for name in row.get_names() if name.isidentifier()), row.get_any_name()))


def _settings(core: Any, path: Path, precision: str, threads: int) -> dict[str, Any]:
    """Return the settings of the CPU.

    The precision is stated as OpenVINO otherwise multiplies in bfloat16 where the processor can; threads are not pinned to cores, where
    those of several processes would meet.
    """
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise ValueError(f"{path}: precision 'bf16': this processor has no bfloat16 instructions; use fp32")
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision, "ENABLE_CPU_PINNING": False}
    return {**settings, "INFERENCE_NUM_THREADS": threads} if threads else settings


def _reason(error: RuntimeError) -> str:
    """Return the last line of an error of OpenVINO, which names the reason; those before name its source files."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
