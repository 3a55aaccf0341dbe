"""Fast and Faster R-CNN."""
