"""The detector inside the package, and the quick start."""
