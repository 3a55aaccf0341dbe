"""Pure functions on tensors: boxes, target assignment, sampling, selection, losses and region pooling."""
