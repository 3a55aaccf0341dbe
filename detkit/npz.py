"""Reading of numpy's ``.npz`` files from anywhere: sizes are compared before memory is allocated, and no code is executed."""

from __future__ import annotations

import io
import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

SMALL, LARGEST_EXPANSION = 64 << 20, 20
"""Bytes of arrays that are always unpacked, and how many times its size a larger file may have unpacked."""
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_CORRUPTION_ERRORS = (
    *(TypeError, LookupError, EOFError, SyntaxError, RuntimeError, MemoryError, NotImplementedError, OverflowError, OSError),
    *(zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError),
)
"""Exceptions raised by reading a damaged archive, besides ValueError."""


def read_npz(file: Path | bytes, largest: int | None = None) -> dict[str, NDArray[Any]]:
    """Read the arrays of a file, or of its content.

    Args:
        file: The file, or its content.
        largest: Bytes that all arrays may have together; None: many times the size of the file, as no real numbers compress so well.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no archive of arrays, is damaged, contains objects, or asks for more memory than that.
    """
    size = len(file) if isinstance(file, bytes) else file.stat().st_size
    largest = max(SMALL, LARGEST_EXPANSION * size) if largest is None else largest
    try:
        with zipfile.ZipFile(io.BytesIO(file) if isinstance(file, bytes) else file) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked > largest:
                raise ValueError(f"its {size:,} bytes would become {unpacked:,}, expected at most {largest:,}")
            # A member is unpacked to its stated size at most.
            return {member.filename.removesuffix(".npy"): _array(archive.read(member)) for member in archive.infolist()}
    except _CORRUPTION_ERRORS as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from None


def _array(content: bytes) -> NDArray[Any]:
    stream = io.BytesIO(content)
    version = npy.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"expected an array in version 1.0 or 2.0 of numpy's format, got {version[0]}.{version[1]}")
    shape, fortran_order, dtype = _HEADERS[version](stream)
    if dtype.hasobject:
        raise ValueError("it contains Python objects")
    start = stream.tell()
    stated = math.prod(shape) * dtype.itemsize
    if stated != len(content) - start:
        raise ValueError(f"an array of shape {shape} has {len(content) - start:,} bytes, expected {stated:,}")
    values = np.frombuffer(content, dtype, math.prod(shape), start) if stated else np.empty(shape, dtype)
    return values.reshape(shape, order="F" if fortran_order else "C").copy("K")
