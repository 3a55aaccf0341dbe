"""Names of the types of numpy arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

ImageArray = NDArray[np.uint8]
"""An image, ``(H, W, 3)`` RGB unless a function states otherwise."""
Halves = NDArray[np.float16]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]
Features = NDArray[np.floating[Any]]
"""Floating-point numbers of any precision."""
