"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# The processes of pytest-xdist share the cores: neither they nor the commands that they start may use all cores each.
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder ``../shared`` of real data and references next to the checkout; tests that need it are skipped without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "README.md").is_file():
        pytest.skip("needs ../shared, which is not available")
    return folder
