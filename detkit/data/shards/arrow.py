"""pyarrow, which is an extra."""

from __future__ import annotations

from typing import Any


def arrow() -> tuple[Any, Any]:
    """Return ``pyarrow`` and ``pyarrow.parquet``.

    Raises:
        ImportError: If pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise ImportError("shards need pyarrow, which is not installed: pip install 'detkit-vision[parquet]'") from error
    return pyarrow, pyarrow.parquet
