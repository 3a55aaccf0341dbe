"""Prediction heads: dense heads over every cell, and heads over pooled regions."""
