"""Masks of boxes: from probabilities on a grid over each box to pixels, and from labeled pixels to such grids; numpy only."""
