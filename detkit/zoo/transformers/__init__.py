"""DETR and its descendants."""
