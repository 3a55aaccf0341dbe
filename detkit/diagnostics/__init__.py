"""What a detector can see and what it costs: recall of anchors and cells, features, parameters and operations."""
