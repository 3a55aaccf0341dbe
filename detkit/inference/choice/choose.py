"""The file and the class that run a detector in the runtime that a user chose."""

from __future__ import annotations

import importlib.util
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

from detkit.inference.choice.cache import CacheEntry, entry_of
from detkit.inference.choice.names import ENDINGS, PACKAGES, WRITERS, Wanted, check_supported
from detkit.inference.predictor import Predictor
from detkit.inference.runtime import RUNTIMES, FileRuntime, is_exported
from detkit.inference.sources import checkpoint_path, known_classes
from detkit.weights import embedded_onnx_path, embedded_path, resolve
from detkit.weights.fetch import sha256_of

_log = logging.getLogger(__name__)


Original = Callable[[], Predictor]
"""Loads the detector that is exported, in reference mode on the CPU."""


def open_in(wanted: Wanted, runtime: str, original: Original) -> FileRuntime:
    """Open a detector in a runtime of exported files; it is exported if the cache does not have it.

    Args:
        wanted: The detector.
        runtime: ``onnx`` or ``openvino``.
        original: Loads it to export it.

    Raises:
        ValueError: If the runtime cannot do what is asked for, or the detector cannot be exported.
        ImportError: If a library is not installed.
    """
    check_supported(runtime, wanted)
    path, limit = _file(wanted, runtime, original)
    opener = cast("type[FileRuntime]", RUNTIMES.get(ENDINGS[runtime]))
    return opener.open(path, "cpu", wanted.precision, batch_size=wanted.options.get("batch_size"), max_detections=limit)


def _file(wanted: Wanted, runtime: str, original: Original) -> tuple[Path, int | None]:
    """Return the file to open, and the limit on detections to set when it is opened."""
    if wanted.file is None and is_exported(wanted.source):
        return _exported(Path(wanted.source), runtime), wanted.max_detections
    included = embedded_onnx_path() if wanted.file is None and Path(wanted.source) == embedded_path() else None
    if included is not None:
        return included, wanted.max_detections
    return _cached(wanted, runtime, original), None


def _exported(path: Path, runtime: str) -> Path:
    if path.suffix == ENDINGS[runtime] or (runtime == "openvino" and path.suffix == ".onnx"):
        return path
    raise ValueError(f"{path}: runtime={runtime!r} cannot run {path.suffix} files; leave the runtime out, or give the checkpoint")


def _cached(wanted: Wanted, runtime: str, original: Original) -> Path:
    _check_packages(runtime)
    if wanted.options.get("classes") and not known_classes(wanted.source):
        raise ValueError(f"runtime={runtime!r}: {wanted.source} looks for phrases, which needs the network itself; use runtime='torch'")
    entry, start = cache_entry(wanted), time.perf_counter()

    def write(path: Path) -> None:
        try:
            WRITERS.get(runtime)(original(), path)
        except ValueError as error:
            raise ValueError(f"runtime={runtime!r}: {error}; use runtime='torch'") from None

    companions = ("model.bin",) if runtime == "openvino" else ()
    path, is_new = entry.file(f"model{ENDINGS[runtime]}", companions, write)
    if is_new:
        _log.info("exported for runtime %s in %.1f s, kept for the next time: %s", runtime, time.perf_counter() - start, path)
    return path


def _check_packages(runtime: str) -> None:
    missing = missing_packages(runtime)
    if missing:
        extra = "openvino,export" if "openvino" in missing else "export"
        raise ImportError(f"runtime={runtime!r}: {' and '.join(missing)} not installed: pip install 'detkit-vision[{extra}]'")


def missing_packages(runtime: str) -> list[str]:
    """Return the packages that a runtime needs and that are not installed."""
    return [name for name in PACKAGES[runtime] if importlib.util.find_spec(name) is None]


def cache_entry(wanted: Wanted) -> CacheEntry:
    """Return the entry of the cache for a detector.

    Raises:
        FileNotFoundError: If a named file does not exist, or published weights have not been downloaded.
    """
    return entry_of(_checkpoint_digest(wanted.source, wanted.file), {"max_detections": wanted.max_detections})


def _checkpoint_digest(source: str | Path, file: str | Path | None) -> str:
    """Return the digest of the weights, and of the name that says what network they belong to."""
    if file is not None:
        return f"{source} {sha256_of(Path(file))}"
    path = checkpoint_path(source)
    if path is not None:
        return sha256_of(path)
    return f"{source} {sha256_of(resolve(str(source)))}"
