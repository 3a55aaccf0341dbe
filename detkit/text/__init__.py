"""Phrases into embeddings: CLIP's text tower and tokenizer, which open_clip supplies."""

from detkit.text.tower import TextTower, require_open_clip, text_tower

__all__ = ["TextTower", "require_open_clip", "text_tower"]
