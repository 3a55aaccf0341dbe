"""Checks of labeled data: rules, findings, and what labels and image headers show without reading any pixel."""
