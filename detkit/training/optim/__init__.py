"""Optimizers, learning rate schedules, averaged weights, unfreezing and mixed precision."""
