"""CLIP as a classifier of whole images and as a detector, of classes given as phrases (arXiv:2103.00020)."""
