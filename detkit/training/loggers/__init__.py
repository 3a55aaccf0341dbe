"""Hooks that keep the numbers of a run: JSON lines and CSV, TensorBoard, Weights & Biases, MLflow."""
