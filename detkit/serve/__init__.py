"""The HTTP server for detectors: an API that collects requests into batches, and a page to try them."""
