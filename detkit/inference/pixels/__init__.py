"""Predictions for pixels, in pixels of the original image."""
