"""Export in int8: which layers, how their weights are rounded, and what it gains."""
