"""CVAT."""
