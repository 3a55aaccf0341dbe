"""Frames and images from cameras and from network addresses that the user names."""
