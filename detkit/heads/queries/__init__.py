"""Heads whose locations are queries: selection, decoders, denoising, matching and losses."""
