"""Stages that fit layers to features instead of training them by gradients: SVMs and ridge regression."""
