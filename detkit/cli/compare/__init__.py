"""``detkit compare``: compare detectors on labeled images under equal conditions."""
