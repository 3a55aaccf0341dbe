"""``detkit calibrate``: find the scores from which detections are used."""
