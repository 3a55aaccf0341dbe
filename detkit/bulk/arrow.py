"""The library for Parquet files, which is optional."""

from __future__ import annotations

try:
    import pyarrow
    import pyarrow.compute
    import pyarrow.parquet as parquet
except ModuleNotFoundError as error:
    raise ImportError(
        f"Parquet files need the package pyarrow, which is not installed ({error}): pip install 'detkit-vision[parquet]'"
    ) from None

__all__ = ["compute", "parquet", "pyarrow"]

compute = pyarrow.compute
