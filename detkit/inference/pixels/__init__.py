"""What models predict of pixels, in pixels of the original image."""
