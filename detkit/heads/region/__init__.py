"""Heads over pooled regions: pooling, layers, classification, and layers fitted to features."""
