"""Runtimes of exported files: their metadata, what their outputs mean, and the libraries that run them. None of it imports PyTorch."""
