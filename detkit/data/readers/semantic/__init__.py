"""Folders of label maps: images whose pixels are the numbers of classes."""
