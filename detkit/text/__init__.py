"""Text embeddings: CLIP's text tower and tokenizer, supplied by open_clip."""

from detkit.text.tower import TextTower, require_open_clip, text_tower

__all__ = ["TextTower", "require_open_clip", "text_tower"]
