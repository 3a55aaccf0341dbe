"""detkit: an object-detection toolkit on PyTorch."""

__version__ = "0.1.0"
