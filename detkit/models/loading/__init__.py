"""Weights of a built detector: from a checkpoint, from other classes, from a classifier, and embeddings of its classes."""
