"""Self-contained HTML pages: the report of an evaluation or a training, and the parts that other pages are built from."""
