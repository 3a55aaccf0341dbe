"""Configs for semantic segmentation."""
