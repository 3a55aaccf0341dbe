"""Views of one image: which windows and scales there are, and how their detections become those of the image."""
