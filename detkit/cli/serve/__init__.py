"""``detkit serve``: an HTTP server for detectors."""
