"""Pure functions on tensors: boxes, matching, sampling, selection, losses, and pooling of regions."""
