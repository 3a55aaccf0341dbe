"""What a detector can see, what it costs, and why it detects: recall of anchors and cells, operations, features, explanations."""
