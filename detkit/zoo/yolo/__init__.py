"""YOLOv1, YOLOX, and light detectors with YOLOX's head."""
