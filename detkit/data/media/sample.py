"""A photograph that is there without a download."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def sample_photograph() -> Path:
    """Return a photograph of a cat inside scikit-image's package.

    Raises:
        FileNotFoundError: If scikit-image is not installed, or without it.
    """
    spec = importlib.util.find_spec("skimage")  # found, but not imported, which takes a tenth of a second
    if spec is None or spec.origin is None:
        raise FileNotFoundError("scikit-image, which contains the sample photograph, is not installed; name an image of your own")
    path = Path(spec.origin).parent / "data" / "chelsea.png"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: this sample photograph of scikit-image is missing; name an image of your own")
    return path
